#include "cli/word_wrap.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {

namespace {

constexpr std::string_view kFence = "```";
constexpr std::size_t kTab = 8;

}  // namespace

std::size_t display_width(std::string_view character) {
  utf8proc_int32_t code_point = 0;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(character.data()),
                                       static_cast<utf8proc_ssize_t>(character.size()), &code_point);
  return length <= 0 ? 1 : static_cast<std::size_t>(std::max(utf8proc_charwidth(code_point), 0));
}

void WordWrap::end_word() {
  word_.clear();
  word_columns_ = 0;
}

void WordWrap::begin_line() {
  end_word();
  column_ = 0;
  line_start_.clear();
}

std::string WordWrap::push(std::string_view text, std::size_t columns) {
  if (columns < 2) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(utf8_character_length(text), 1);
    const std::string_view character = text.substr(0, length);
    text.remove_prefix(length);
    if (character == "\n") {
      if (line_start_ == kFence) is_code_ = !is_code_;
      begin_line();
      out += '\n';
      continue;
    }
    if (line_start_.size() < kFence.size()) line_start_ += character;
    if (is_code_ || line_start_ == kFence) {
      out += character;
      continue;
    }
    const std::size_t width = character == "\t" ? kTab - column_ % kTab : display_width(character);
    put(character, width, columns, out);
  }
  return out;
}

void WordWrap::put(std::string_view character, std::size_t width, std::size_t columns, std::string& out) {
  const bool is_blank = character == " " || character == "\t";
  const bool fits = column_ + width < columns;
  if (is_blank) {
    end_word();
    out += fits ? character : "\n";  // a blank at the edge is what the line is broken at
    column_ = fits ? column_ + width : 0;
    return;
  }
  // Between wide characters (Chinese, Japanese, Korean) a line may be broken anywhere.
  if (width == 2) end_word();
  if (!fits && word_columns_ < column_) {
    if (word_columns_ > 0) out += str("\x1b[", word_columns_, "D\x1b[K");
    out += '\n';
    out += word_;
    column_ = word_columns_;
  }
  out += character;
  if (column_ + width < columns) {
    column_ += width;
    if (width < 2) {
      word_ += character;
      word_columns_ += width;
    }
  } else {  // a word longer than a line
    word_.clear();
    column_ = (column_ + width) % columns;
    word_columns_ = column_;
  }
}

}  // namespace carat
