#include "cli/media_in_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string>

#include "cli/path_completion.h"

namespace carat {
namespace {

constexpr std::string_view kBlanks = " \t\n\r";
constexpr std::string_view kPunctuation = ".,;:?!)";  // behind a path at the end of a clause

struct Word {
  std::string value;  // without quotes and escapes
  std::size_t begin;
  std::size_t end;
};

// A word in quotes that are closed; nullopt where there is none at `at`.
std::optional<Word> quoted_word(std::string_view text, std::size_t at) {
  if (text[at] != '\'' && text[at] != '"') return std::nullopt;
  const std::size_t end = text.find(text[at], at + 1);
  if (end == std::string_view::npos) return std::nullopt;
  return Word{std::string(text.substr(at + 1, end - at - 1)), at, end + 1};
}

Word plain_word(std::string_view text, std::size_t at) {
  Word word{{}, at, at};
  for (; word.end < text.size() && kBlanks.find(text[word.end]) == std::string_view::npos; ++word.end) {
    if (text[word.end] == '\\' && word.end + 1 < text.size()) ++word.end;
    word.value += text[word.end];
  }
  while (!word.value.empty() && kPunctuation.find(word.value.back()) != std::string_view::npos) {
    word.value.pop_back();
    --word.end;
  }
  return word;
}

// %41 -> A; what is no such triple stays.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr == text.data() + i + 3) {
      decoded += static_cast<char>(code);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

std::optional<MediaKind> kind_by_ending(const std::filesystem::path& path) {
  struct Ending {
    std::string_view text;
    MediaKind kind;
  };
  static constexpr std::array kEndings{
      Ending{".png", MediaKind::kImage},  Ending{".jpg", MediaKind::kImage},  Ending{".jpeg", MediaKind::kImage},
      Ending{".webp", MediaKind::kImage}, Ending{".gif", MediaKind::kImage},  Ending{".bmp", MediaKind::kImage},
      Ending{".wav", MediaKind::kAudio},  Ending{".flac", MediaKind::kAudio}, Ending{".ogg", MediaKind::kAudio},
      Ending{".mp3", MediaKind::kAudio},  Ending{".mp4", MediaKind::kVideo},  Ending{".m4v", MediaKind::kVideo},
      Ending{".mkv", MediaKind::kVideo},  Ending{".webm", MediaKind::kVideo}, Ending{".mov", MediaKind::kVideo},
      Ending{".avi", MediaKind::kVideo},
  };
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto* found = std::find_if(kEndings.begin(), kEndings.end(), [&](const Ending& e) { return e.text == ending; });
  if (found == kEndings.end()) return std::nullopt;
  return found->kind;
}

std::optional<MediaInText> medium_of(const Word& word) {
  constexpr std::string_view kScheme = "file://";
  const std::string path =
      word.value.starts_with(kScheme) ? percent_decoded(word.value.substr(kScheme.size())) : expand_home(word.value);
  const std::optional<MediaKind> kind = kind_by_ending(path);
  if (!kind || path.find("://") != std::string::npos) return std::nullopt;  // an address of the web
  std::error_code ignored;
  if (path.find('/') == std::string::npos && !std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  return MediaInText{{*kind, path}, word.begin, word.end};
}

}  // namespace

std::vector<MediaInText> find_media(std::string_view text) {
  std::vector<MediaInText> found;
  for (std::size_t at = text.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const auto quoted = quoted_word(text, at);
    auto medium = quoted ? medium_of(*quoted) : std::nullopt;
    const Word word = medium ? *quoted : plain_word(text, at);
    if (!medium) medium = medium_of(word);
    if (medium) found.push_back(*medium);
    at = text.find_first_not_of(kBlanks, std::max(word.end, at + 1));
  }
  return found;
}

}  // namespace carat
