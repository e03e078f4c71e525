#include "chat/speech_prompt.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

constexpr std::size_t kMaxLanguageBytes = 40;
constexpr std::string_view kBlank = " \t\r\n";

struct Language {
  std::string_view code;  // ISO 639-1
  std::string_view name;
};

// Those of FLEURS and CoVoST, by which the models were measured, and what else people ask for.
constexpr std::array kLanguages{
    Language{"af", "Afrikaans"},  Language{"ar", "Arabic"},     Language{"bg", "Bulgarian"},
    Language{"bn", "Bengali"},    Language{"ca", "Catalan"},    Language{"cs", "Czech"},
    Language{"cy", "Welsh"},      Language{"da", "Danish"},     Language{"de", "German"},
    Language{"el", "Greek"},      Language{"en", "English"},    Language{"es", "Spanish"},
    Language{"et", "Estonian"},   Language{"fa", "Persian"},    Language{"fi", "Finnish"},
    Language{"fr", "French"},     Language{"gu", "Gujarati"},   Language{"he", "Hebrew"},
    Language{"hi", "Hindi"},      Language{"hr", "Croatian"},   Language{"hu", "Hungarian"},
    Language{"hy", "Armenian"},   Language{"id", "Indonesian"}, Language{"is", "Icelandic"},
    Language{"it", "Italian"},    Language{"ja", "Japanese"},   Language{"ka", "Georgian"},
    Language{"kk", "Kazakh"},     Language{"kn", "Kannada"},    Language{"ko", "Korean"},
    Language{"lt", "Lithuanian"}, Language{"lv", "Latvian"},    Language{"mk", "Macedonian"},
    Language{"ml", "Malayalam"},  Language{"mn", "Mongolian"},  Language{"mr", "Marathi"},
    Language{"ms", "Malay"},      Language{"nl", "Dutch"},      Language{"no", "Norwegian"},
    Language{"pa", "Punjabi"},    Language{"pl", "Polish"},     Language{"pt", "Portuguese"},
    Language{"ro", "Romanian"},   Language{"ru", "Russian"},    Language{"sk", "Slovak"},
    Language{"sl", "Slovenian"},  Language{"sq", "Albanian"},   Language{"sr", "Serbian"},
    Language{"sv", "Swedish"},    Language{"sw", "Swahili"},    Language{"ta", "Tamil"},
    Language{"te", "Telugu"},     Language{"th", "Thai"},       Language{"tl", "Tagalog"},
    Language{"tr", "Turkish"},    Language{"uk", "Ukrainian"},  Language{"ur", "Urdu"},
    Language{"vi", "Vietnamese"}, Language{"zh", "Chinese"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// Source: the "Audio" section of Gemma 4's model card; without a language, that of Gemma 3n.
std::string transcription_prompt(const SpeechTask& task) {
  const std::string how = task.language.empty() ? std::string("in its original language.")
                                                : str("in ", task.language, " into ", task.language, " text.");
  return str("Transcribe the following speech segment ", how,
             "\n\nFollow these specific instructions for formatting the answer:\n"
             "* Only output the transcription, with no newlines.\n"
             "* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 "
             "instead of three.");
}

std::string translation_prompt(const SpeechTask& task) {
  const std::string source = task.language.empty() ? "its original language" : task.language;
  return str("Transcribe the following speech segment in ", source, ", then translate it into ", task.translation,
             ".\nWhen formatting the answer, first output the transcription in ", source,
             ", then one newline, then output the string '", task.translation, ": ', then the translation in ",
             task.translation, ".");
}

}  // namespace

std::string language_name(std::string_view language) {
  const std::string wanted = lower(trimmed(language));
  for (const Language& known : kLanguages) {
    if (wanted == known.code || wanted == lower(known.name)) return std::string(known.name);
  }
  // Letters, blanks and hyphens of any script; nothing that could turn the prompt into another.
  const bool is_plausible = !wanted.empty() && wanted.size() <= kMaxLanguageBytes && is_valid_utf8(wanted) &&
                            std::all_of(wanted.begin(), wanted.end(), [](char c) {
                              return (c >= 'a' && c <= 'z') || c == ' ' || c == '-' || static_cast<signed char>(c) < 0;
                            });
  if (!is_plausible) {
    throw Error(ErrorKind::kBadInput, str("\"", printable(language),
                                          "\" is no language. Give its English name, such as German, or its code, "
                                          "such as de."));
  }
  return std::string(trimmed(language));
}

std::string speech_prompt(const SpeechTask& task, std::string_view previous_words) {
  std::string prompt = task.translation.empty() ? transcription_prompt(task) : translation_prompt(task);
  if (!previous_words.empty()) {
    prompt += str("\nThe segment before this one ended with the words \"", previous_words,
                  "\". Go on from there and do not repeat them.");
  }
  return prompt;
}

SpeechText parse_speech_answer(const SpeechTask& task, std::string_view answer) {
  answer = trimmed(answer);
  if (task.translation.empty()) return {std::string(answer), ""};
  const std::string mark = str(task.translation, ":");
  const std::string low = lower(answer);  // keeps every byte's place
  const std::size_t on_its_line = low.find(str("\n", lower(mark)));
  const std::size_t at = on_its_line != std::string::npos ? on_its_line + 1 : low.find(lower(mark));
  if (at == std::string_view::npos) {
    // Without the mark, a second line is the translation.
    const std::size_t line = answer.find('\n');
    if (line == std::string_view::npos) return {std::string(answer), ""};
    return {std::string(trimmed(answer.substr(0, line))), std::string(trimmed(answer.substr(line)))};
  }
  return {std::string(trimmed(answer.substr(0, at))), std::string(trimmed(answer.substr(at + mark.size())))};
}

std::string last_words(std::string_view text, std::size_t count) {
  text = trimmed(text);
  std::size_t begin = text.size();
  for (; count > 0 && begin > 0; --count) {
    const std::size_t word_end = text.substr(0, begin).find_last_not_of(kBlank);
    if (word_end == std::string_view::npos) break;
    const std::size_t blank = text.substr(0, word_end + 1).find_last_of(kBlank);
    begin = blank == std::string_view::npos ? 0 : blank + 1;
  }
  return std::string(trimmed(text.substr(begin)));
}

}  // namespace carat
