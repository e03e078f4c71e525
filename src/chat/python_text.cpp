#include "chat/python_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <string>

#include "base/unicode.h"

namespace carat {
namespace {

struct CaseRange {
  char32_t first, last, step;
  std::int32_t delta;
};
struct SpecialCase {
  char32_t code_point;
  char32_t upper[3];
  char32_t title[3];
};
#include "chat/case_tables.inc"

char32_t map_simple(const CaseRange* begin, const CaseRange* end, char32_t c) {
  // Ranges with a step of two may interleave, so all that start at or before c and end at or after it are asked.
  const CaseRange* range = std::upper_bound(begin, end, c, [](char32_t x, const CaseRange& r) { return x < r.first; });
  for (int back = 0; back < 3 && range != begin; ++back) {
    --range;
    if (c <= range->last && (c - range->first) % range->step == 0) {
      return static_cast<char32_t>(static_cast<std::int32_t>(c) + range->delta);
    }
  }
  return c;
}

const SpecialCase* find_special(char32_t c) {
  const auto* row = std::lower_bound(std::begin(kSpecialCases), std::end(kSpecialCases), c,
                                     [](const SpecialCase& s, char32_t x) { return s.code_point < x; });
  return row != std::end(kSpecialCases) && row->code_point == c ? row : nullptr;
}

enum class Case { kUpper, kLower, kTitle };

// Appends the image of c to out.
void append_mapped(std::string& out, char32_t c, Case which) {
  if (which == Case::kLower) {
    if (c == U'\u0130') {  // the one character whose lower form is two
      append_code_point(out, U'i');
      append_code_point(out, U'\u0307');
    } else {
      append_code_point(out, map_simple(std::begin(kLowerRanges), std::end(kLowerRanges), c));
    }
    return;
  }
  if (const SpecialCase* special = find_special(c)) {
    for (const char32_t image : which == Case::kUpper ? special->upper : special->title) {
      if (image != 0) append_code_point(out, image);
    }
    return;
  }
  append_code_point(out, map_simple(std::begin(kUpperRanges), std::end(kUpperRanges), c));
}

bool is_cased_lower(char32_t c) {
  return map_simple(std::begin(kUpperRanges), std::end(kUpperRanges), c) != c ||
         (find_special(c) != nullptr && c != U'\u01c5' && c != U'\u01c8' && c != U'\u01cb' && c != U'\u01f2');
}

bool is_cased_upper(char32_t c) {
  return map_simple(std::begin(kLowerRanges), std::end(kLowerRanges), c) != c || c == U'\u0130';
}

// Maps each character by choose(character before it or 0, character).
template <typename Choose>
MarkedText map_case(const MarkedText& text, const Choose& choose) {
  MarkedText result;
  std::string image;
  char32_t before = 0;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = first_code_point(text.view().substr(i));
    image.clear();
    append_mapped(image, c.value, choose(before, c.value));
    result.append(image, text.is_trusted_at(i));
    before = c.value;
    i += c.length;
  }
  return result;
}

bool is_line_break(char32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::vector<TextRange> split_at_spaces(std::string_view text, std::size_t max_splits) {
  std::vector<TextRange> parts;
  std::size_t i = strip_range(text, Side::kLeft).begin;
  while (i < text.size()) {
    if (parts.size() == max_splits) {
      parts.push_back({i, text.size()});  // with the white space behind it
      break;
    }
    std::size_t end = i;
    while (end < text.size()) {
      const CodePoint c = first_code_point(text.substr(end));
      if (is_python_space(c.value)) break;
      end += c.length;
    }
    parts.push_back({i, end});
    i = end + strip_range(text.substr(end), Side::kLeft).begin;
  }
  return parts;
}

// Length in bytes of the last code point of text, which is not empty; 1 where there is none.
std::size_t last_length(std::string_view text) {
  for (std::size_t n = 1; n <= 4 && n <= text.size(); ++n) {
    if (utf8_character_length(text.substr(text.size() - n)) == n) return n;
  }
  return 1;
}

std::vector<TextRange> split_at_spaces_from_right(std::string_view text, std::size_t max_splits) {
  std::vector<TextRange> parts;
  std::size_t end = strip_range(text, Side::kRight).end;
  while (end > 0) {
    if (parts.size() == max_splits) {
      parts.push_back({0, end});  // with the white space before it
      break;
    }
    std::size_t begin = end;
    while (begin > 0) {
      const std::size_t n = last_length(text.substr(0, begin));
      if (is_python_space(first_code_point(text.substr(begin - n)).value)) break;
      begin -= n;
    }
    parts.push_back({begin, end});
    end = strip_range(text.substr(0, begin), Side::kRight).end;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<TextRange> split_at(std::string_view text, std::string_view separator, std::size_t max_splits) {
  std::vector<TextRange> parts;
  std::size_t begin = 0;
  while (parts.size() < max_splits) {
    const std::size_t found = text.find(separator, begin);
    if (found == std::string_view::npos) break;
    parts.push_back({begin, found});
    begin = found + separator.size();
  }
  parts.push_back({begin, text.size()});
  return parts;
}

std::vector<TextRange> split_at_from_right(std::string_view text, std::string_view separator, std::size_t max_splits) {
  std::vector<TextRange> parts;
  std::size_t end = text.size();
  while (parts.size() < max_splits && end >= separator.size()) {
    const std::size_t found = text.substr(0, end).rfind(separator);
    if (found == std::string_view::npos) break;
    parts.push_back({found + separator.size(), end});
    end = found;
  }
  parts.push_back({0, end});
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  switch (utf8_character_length(text)) {
    case 2:
      return {(byte(0) & 0x1f) << 6 | (byte(1) & 0x3f), 2};
    case 3:
      return {(byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), 3};
    case 4:
      return {(byte(0) & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f), 4};
    default:
      return {byte(0), 1};
  }
}

std::size_t count_code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::size_t code_point_offset(std::string_view text, std::size_t index) {
  std::size_t offset = 0;
  for (; offset < text.size(); ++offset) {
    if ((static_cast<unsigned char>(text[offset]) & 0xc0) == 0x80) continue;
    if (index == 0) break;
    --index;
  }
  return offset;
}

void append_code_point(std::string& out, char32_t value) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xc0 | value >> 6);
    put(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    put(0xe0 | value >> 12);
    put(0x80 | (value >> 6 & 0x3f));
    put(0x80 | (value & 0x3f));
  } else {
    put(0xf0 | value >> 18);
    put(0x80 | (value >> 12 & 0x3f));
    put(0x80 | (value >> 6 & 0x3f));
    put(0x80 | (value & 0x3f));
  }
}

bool is_python_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

TextRange strip_range(std::string_view text, Side side, std::optional<std::string_view> chars) {
  const auto is_stripped = [&](std::string_view character) {
    return chars ? chars->find(character) != std::string_view::npos
                 : is_python_space(first_code_point(character).value);
  };
  TextRange range{0, text.size()};
  if (side != Side::kRight) {
    while (range.begin < range.end) {
      const std::size_t n = first_code_point(text.substr(range.begin)).length;
      if (!is_stripped(text.substr(range.begin, n))) break;
      range.begin += n;
    }
  }
  if (side != Side::kLeft) {
    while (range.begin < range.end) {
      const std::size_t n = last_length(text.substr(0, range.end));
      if (!is_stripped(text.substr(range.end - n, n))) break;
      range.end -= n;
    }
  }
  return range;
}

std::vector<TextRange> split_ranges(std::string_view text, std::optional<std::string_view> separator,
                                    std::size_t max_splits, bool from_right) {
  if (!separator) {
    return from_right ? split_at_spaces_from_right(text, max_splits) : split_at_spaces(text, max_splits);
  }
  return from_right ? split_at_from_right(text, *separator, max_splits) : split_at(text, *separator, max_splits);
}

std::vector<TextRange> line_ranges(std::string_view text, bool keep_ends) {
  std::vector<TextRange> lines;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = first_code_point(text.substr(i));
    const std::size_t end = i;
    i += c.length;
    if (!is_line_break(c.value)) continue;
    if (c.value == U'\r' && i < text.size() && text[i] == '\n') ++i;
    lines.push_back({begin, keep_ends ? i : end});
    begin = i;
  }
  if (begin < text.size()) lines.push_back({begin, text.size()});
  return lines;
}

MarkedText to_upper(const MarkedText& text) {
  return map_case(text, [](char32_t, char32_t) { return Case::kUpper; });
}

MarkedText to_lower(const MarkedText& text) {
  return map_case(text, [](char32_t, char32_t) { return Case::kLower; });
}

MarkedText to_capitalized(const MarkedText& text) {
  bool is_first = true;
  return map_case(text, [&is_first](char32_t, char32_t) {
    const Case which = is_first ? Case::kTitle : Case::kLower;
    is_first = false;
    return which;
  });
}

MarkedText to_title(const MarkedText& text) {
  return map_case(text, [](char32_t before, char32_t) {
    return is_cased_lower(before) || is_cased_upper(before) ? Case::kLower : Case::kTitle;
  });
}

bool is_upper(std::string_view text) {
  bool any = false;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = first_code_point(text.substr(i));
    if (is_cased_lower(c.value)) return false;
    any = any || is_cased_upper(c.value);
    i += c.length;
  }
  return any;
}

bool is_lower(std::string_view text) {
  bool any = false;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = first_code_point(text.substr(i));
    if (is_cased_upper(c.value)) return false;
    any = any || is_cased_lower(c.value);
    i += c.length;
  }
  return any;
}

}  // namespace carat
