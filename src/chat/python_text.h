// The string operations of Python's str, as Jinja templates see them. Texts are valid UTF-8; positions are byte offsets
// at code point borders unless a name says code point.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "chat/marked_text.h"

namespace carat {

struct TextRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// The code point that text begins with and its length in bytes; U+FFFD and 1 where it begins with none. text: not
// empty.
struct CodePoint {
  char32_t value;
  std::size_t length;
};
CodePoint first_code_point(std::string_view text);

std::size_t count_code_points(std::string_view text);
// Where code point number `index` begins; text.size() when there are fewer.
std::size_t code_point_offset(std::string_view text, std::size_t index);
void append_code_point(std::string& out, char32_t value);

bool is_python_space(char32_t c);  // str.isspace() of one code point

enum class Side { kLeft, kRight, kBoth };
// What strip, lstrip and rstrip leave: chars is the set of code points to remove, white space when absent.
TextRange strip_range(std::string_view text, Side side, std::optional<std::string_view> chars = {});

// The parts str.split leaves, at most max_splits + 1 of them: between runs of white space, or, when separator is given
// (not empty), between its occurrences. Splits are counted from the right for str.rsplit.
std::vector<TextRange> split_ranges(std::string_view text, std::optional<std::string_view> separator,
                                    std::size_t max_splits, bool from_right);
// The lines of str.splitlines.
std::vector<TextRange> line_ranges(std::string_view text, bool keep_ends);

// str.upper and so on; a character's image keeps the character's mark. No final-sigma rule: 'Σ' becomes 'σ'.
MarkedText to_upper(const MarkedText& text);
MarkedText to_lower(const MarkedText& text);
MarkedText to_capitalized(const MarkedText& text);  // str.capitalize
MarkedText to_title(const MarkedText& text);        // str.title
// str.isupper, str.islower: there is a cased character, and all of them are of that case.
bool is_upper(std::string_view text);
bool is_lower(std::string_view text);

}  // namespace carat
