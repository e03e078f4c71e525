// The prompts by which Gemma 4 transcribes and translates speech, as its model card words them.
#pragma once

#include <string>
#include <string_view>

namespace carat {

// The English name of a language for a prompt: "German" for "de", "DE" or "german"; what isn't known is taken as it is.
// Throws Error(kBadInput) for a text that can't be a language's name.
std::string language_name(std::string_view language);

struct SpeechTask {
  std::string language;     // by name; empty: the one that is spoken
  std::string translation;  // into which language; empty: none
};

// The text that goes before the sound. previous_words: the last ones of the piece before, where a recording comes in
// pieces; empty for the first.
std::string speech_prompt(const SpeechTask& task, std::string_view previous_words);

// The answer to such a prompt, taken apart.
struct SpeechText {
  std::string transcript;
  std::string translation;  // empty where none was asked for
};
SpeechText parse_speech_answer(const SpeechTask& task, std::string_view answer);

// The last words of a text, at most `count`, as they stand there.
std::string last_words(std::string_view text, std::size_t count);

}  // namespace carat
