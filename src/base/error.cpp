#include "base/error.h"

#include "base/unicode.h"

namespace carat {
namespace {

// True for the code points 0 to 31 and 127 to 159, which terminals may obey.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  return first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0;
}

}  // namespace

std::string printable(std::string_view text, std::size_t max_bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  std::size_t used = 0;
  while (used < text.size()) {
    const std::size_t length = utf8_character_length(text.substr(used));
    const std::string_view character = text.substr(used, length == 0 ? 1 : length);
    if (used + character.size() > max_bytes) return out + "...";
    used += character.size();
    if (length != 0 && !is_control(character)) {
      out += character;
      continue;
    }
    for (const char c : character) {
      const auto byte = static_cast<unsigned char>(c);
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace carat
