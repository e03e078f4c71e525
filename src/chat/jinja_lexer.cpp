#include "chat/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "chat/python_text.h"

namespace carat::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Bytes above ASCII count as letters: names in other scripts are rare, and a wrong one is merely undefined.
bool is_name_byte(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// All newlines become "\n"; one at the very end is dropped.
std::string with_unix_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
    } else {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::size_t leading_space(std::string_view text) {
  return strip_range(text, Side::kLeft).begin;
}

// Value of the digits of an escape such as \x41, or nothing when there are too few.
std::optional<char32_t> hex_value(std::string_view digits, std::size_t count) {
  if (digits.size() < count) return std::nullopt;
  char32_t value = 0;
  for (const char c : digits.substr(0, count)) {
    const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    if (!is_digit(lower) && (lower < 'a' || lower > 'f')) return std::nullopt;
    value = value * 16 + static_cast<char32_t>(is_digit(lower) ? lower - '0' : lower - 'a' + 10);
  }
  return value;
}

// Resolves Python's escapes in the inside of a string literal.
std::string unescape(std::string_view inside, std::uint32_t line) {
  static constexpr std::string_view kLetters = "\\'\"abfnrtv";
  static constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
  std::string out;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\') {
      out += inside[i];
      continue;
    }
    const char letter = inside[++i];  // a literal never ends in a lone backslash
    const std::size_t hex_digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (const std::size_t simple = kLetters.find(letter); simple != std::string_view::npos) {
      out += kMeanings[simple];
    } else if (letter == '\n') {
      // an escaped line end joins the lines
    } else if (letter >= '0' && letter <= '7') {
      char32_t value = 0;
      std::size_t n = 0;
      for (; n < 3 && i + n < inside.size() && inside[i + n] >= '0' && inside[i + n] <= '7'; ++n) {
        value = value * 8 + static_cast<char32_t>(inside[i + n] - '0');
      }
      append_code_point(out, value);
      i += n - 1;
    } else if (hex_digits != 0) {
      const auto value = hex_value(inside.substr(i + 1), hex_digits);
      if (!value || *value > 0x10ffff || (*value >= 0xd800 && *value < 0xe000)) {
        fail_syntax(line, "a string has an escape that is no character");
      }
      append_code_point(out, *value);
      i += hex_digits;
    } else if (letter == 'N') {
      fail_syntax(line, "characters by name (\\N{...}) are not supported; write the character or \\uXXXX");
    } else {
      out += '\\';
      out += letter;
    }
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(with_unix_newlines(source)) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) read_text_and_tag();
    add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(text_).substr(at_); }
  bool at(std::string_view symbol) const { return rest().starts_with(symbol); }

  void advance(std::size_t bytes) {
    const auto begin = text_.begin() + static_cast<std::ptrdiff_t>(at_);
    line_ += static_cast<std::uint32_t>(std::count(begin, begin + static_cast<std::ptrdiff_t>(bytes), '\n'));
    at_ += bytes;
    is_line_start_ = at_ > 0 && text_[at_ - 1] == '\n';
  }

  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  // Length of "{% raw %}" at this place, 0 when there is none.
  std::size_t raw_begin_length(std::string_view tag) const { return raw_tag_length(tag, "raw", false); }

  static std::size_t raw_tag_length(std::string_view tag, std::string_view name, bool is_end) {
    if (!tag.starts_with("{%")) return 0;
    std::size_t n = 2;
    if (n < tag.size() && (tag[n] == '-' || tag[n] == '+')) ++n;
    n += leading_space(tag.substr(n));
    if (!tag.substr(n).starts_with(name)) return 0;
    n += name.size();
    n += leading_space(tag.substr(n));
    const std::string_view end = tag.substr(n);
    if (end.starts_with("-%}")) return n + 3 + leading_space(end.substr(3));
    if (is_end && end.starts_with("+%}")) return n + 3;
    if (!end.starts_with("%}")) return 0;
    return n + 2 + (is_end && end.substr(2).starts_with('\n') ? 1 : 0);
  }

  // Prints text up to a tag whose "-", "+" or neither is sign. White space before "-" goes; so does, before a block or
  // comment without a sign, the white space between the line's begin and the tag (lstrip_blocks).
  void add_text(std::string_view text, char sign, bool is_print) {
    std::size_t end = text.size();
    if (sign == '-') {
      end = strip_range(text, Side::kRight).end;
    } else if (sign != '+' && !is_print) {
      const std::size_t line_begin = text.rfind('\n') + 1;  // npos + 1 is 0
      const bool begins_line = line_begin > 0 || is_line_start_;
      if (begins_line && leading_space(text.substr(line_begin)) == text.size() - line_begin) end = line_begin;
    }
    if (end > 0) add(Token::Kind::kData, std::string(text.substr(0, end)));
  }

  void read_text_and_tag() {
    std::size_t tag = at_;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == std::string::npos || tag + 1 == text_.size()) {
        add(Token::Kind::kData, std::string(rest()));
        return advance(rest().size());
      }
      if (text_[tag + 1] == '%' || text_[tag + 1] == '{' || text_[tag + 1] == '#') break;
      ++tag;
    }
    const char kind = text_[tag + 1];
    char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    if (sign != '-' && sign != '+') sign = '\0';
    add_text(rest().substr(0, tag - at_), sign, kind == '{');
    advance(tag - at_);
    if (const std::size_t raw = raw_begin_length(rest()); raw != 0) {
      advance(raw);
      return read_raw();
    }
    if (kind != '#') add(kind == '%' ? Token::Kind::kBlockBegin : Token::Kind::kPrintBegin, "");
    advance(sign == '\0' ? 2 : 3);
    if (kind == '#') return read_comment();
    read_tag(kind == '%');
  }

  void read_comment() {
    const std::size_t end = rest().find("#}");
    if (end == std::string_view::npos) fail_syntax(line_, "Missing end of comment tag");
    const char sign = end > 0 ? rest()[end - 1] : '\0';
    const std::string_view after = rest().substr(end + 2);
    std::size_t trimmed = 0;
    if (sign == '-') {
      trimmed = leading_space(after);
    } else if (sign != '+' && after.starts_with('\n')) {
      trimmed = 1;
    }
    advance(end + 2 + trimmed);
  }

  void read_raw() {
    std::size_t end = at_;
    std::size_t length = 0;
    for (;; ++end) {
      end = text_.find("{%", end);
      if (end == std::string::npos) fail_syntax(line_, "Missing end of raw directive");
      length = raw_tag_length(std::string_view(text_).substr(end), "endraw", true);
      if (length != 0) break;
    }
    const char sign = text_[end + 2];
    add_text(rest().substr(0, end - at_), sign, false);
    advance(end - at_ + length);
  }

  // The inside of a tag and its end.
  void read_tag(bool is_block) {
    const std::uint32_t begin_line = line_;
    std::string open;  // brackets not closed yet
    while (true) {
      if (at_ == text_.size()) fail_syntax(begin_line, "a tag is not closed");
      if (open.empty() && read_tag_end(is_block)) return;
      if (const std::size_t space = leading_space(rest()); space > 0) {
        advance(space);
      } else if (is_digit(text_[at_])) {
        read_number();
      } else if (is_name_byte(text_[at_])) {
        std::size_t n = 1;
        while (n < rest().size() && is_name_byte(rest()[n])) ++n;
        add_and_advance(Token::Kind::kName, n);
      } else if (text_[at_] == '"' || text_[at_] == '\'') {
        read_string();
      } else {
        read_operator(open);
      }
    }
  }

  bool read_tag_end(bool is_block) {
    const std::string_view end = is_block ? "%}" : "}}";
    const bool has_sign = at("-") || (is_block && at("+"));
    if (!rest().substr(has_sign ? 1 : 0).starts_with(end)) return false;
    const bool strips = at("-");
    add(is_block ? Token::Kind::kBlockEnd : Token::Kind::kPrintEnd, "");
    advance(has_sign ? 3 : 2);
    if (strips) {
      advance(leading_space(rest()));
    } else if (is_block && !has_sign && at("\n")) {
      advance(1);
    }
    return true;
  }

  void add_and_advance(Token::Kind kind, std::size_t bytes) {
    add(kind, std::string(rest().substr(0, bytes)));
    advance(bytes);
  }

  // Number of bytes of digits, which single underscores may separate, from position `from` on.
  std::size_t digits_length(std::size_t from, bool (*is_wanted)(char)) const {
    std::size_t n = 0;
    const auto wanted_at = [&](std::size_t i) {
      return at_ + from + i < text_.size() && is_wanted(text_[at_ + from + i]);
    };
    while (wanted_at(n) ||
           (n > 0 && at_ + from + n < text_.size() && text_[at_ + from + n] == '_' && wanted_at(n + 1))) {
      ++n;
    }
    return n;
  }

  void read_number() {
    const auto char_at = [&](std::size_t i) { return at_ + i < text_.size() ? text_[at_ + i] : '\0'; };
    const std::size_t whole = digits_length(0, is_digit);
    std::size_t n = whole;
    bool is_float = false;
    if (at_ == 0 || text_[at_ - 1] != '.') {
      const std::size_t fraction = char_at(n) == '.' ? digits_length(n + 1, is_digit) : 0;
      if (fraction > 0) n += 1 + fraction;
      std::size_t exponent = 0;
      if (char_at(n) == 'e' || char_at(n) == 'E') {
        const std::size_t sign = char_at(n + 1) == '+' || char_at(n + 1) == '-' ? 1 : 0;
        const std::size_t digits = digits_length(n + 1 + sign, is_digit);
        if (digits > 0) exponent = 1 + sign + digits;
      }
      n += exponent;
      is_float = fraction > 0 || exponent > 0;
    }
    if (!is_float) n = integer_length(whole);
    std::string digits(rest().substr(0, n));
    digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
    add(is_float ? Token::Kind::kFloat : Token::Kind::kInteger, std::move(digits));
    advance(n);
  }

  std::size_t integer_length(std::size_t decimal_length) const {
    if (text_[at_] != '0') return decimal_length;
    const char prefix = at_ + 1 < text_.size() ? static_cast<char>(text_[at_ + 1] | 0x20) : '\0';
    const std::size_t skip = at_ + 2 < text_.size() && text_[at_ + 2] == '_' ? 3 : 2;
    std::size_t n = 0;
    if (prefix == 'x') {
      n = digits_length(skip, [](char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); });
    } else if (prefix == 'o') {
      n = digits_length(skip, [](char c) { return c >= '0' && c <= '7'; });
    } else if (prefix == 'b') {
      n = digits_length(skip, [](char c) { return c == '0' || c == '1'; });
    }
    if (n > 0) return skip + n;
    return digits_length(0, [](char c) { return c == '0'; });
  }

  void read_string() {
    const char quote = text_[at_];
    std::size_t n = 1;
    while (at_ + n < text_.size() && text_[at_ + n] != quote) n += text_[at_ + n] == '\\' ? 2U : 1U;
    if (at_ + n >= text_.size()) fail_syntax(line_, "a string is not closed");
    add(Token::Kind::kString, unescape(rest().substr(1, n - 1), line_));
    advance(n + 1);
  }

  void read_operator(std::string& open) {
    static constexpr std::array<std::string_view, 6> kTwoBytes{"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kOneByte = "+-/*%~[](){}><=.:|,;";
    for (const std::string_view symbol : kTwoBytes) {
      if (at(symbol)) return add_and_advance(Token::Kind::kOperator, 2);
    }
    const char c = text_[at_];
    if (kOneByte.find(c) == std::string_view::npos) {
      fail_syntax(line_, str("unexpected character '", printable(rest().substr(0, 1)), "'"));
    }
    if (c == '(' || c == '[' || c == '{') {
      open += c;
    } else if (c == ')' || c == ']' || c == '}') {
      const char expected = open.empty() ? '\0' : open.back() == '(' ? ')' : open.back() == '[' ? ']' : '}';
      if (c != expected) fail_syntax(line_, str("unexpected '", std::string_view(&c, 1), "'"));
      open.pop_back();
    }
    add_and_advance(Token::Kind::kOperator, 1);
  }

  std::string text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  bool is_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

void fail_syntax(std::uint32_t line, std::string_view reason) {
  throw Error(ErrorKind::kBadFile, str("chat template, line ", line, ": ", reason, "."));
}

}  // namespace carat::jinja
