// UTF-8: where a text is valid and where it breaks off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace carat {

// Length in bytes (1..4) of the valid UTF-8 character that text begins with; 0 when it begins with none (text empty,
// overlong form, surrogate, above U+10FFFF, continuation missing). Unicode 15, table 3-7.
std::size_t utf8_character_length(std::string_view text);

// True when text is a proper, non-empty beginning of some valid character: more bytes could complete it.
bool is_utf8_prefix(std::string_view text);

bool is_valid_utf8(std::string_view text);

}  // namespace carat
