#include "chat/call_syntax.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/unicode.h"
#include "chat/python_text.h"

namespace carat {
namespace {

constexpr std::size_t kMaxDepth = 64;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_name_byte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("_-./:").find(c) != std::string_view::npos || static_cast<unsigned char>(c) >= 0x80;
}

std::string trimmed(std::string_view text) {
  const TextRange range = strip_range(text, Side::kBoth);
  return std::string(text.substr(range.begin, range.end - range.begin));
}

// Is text a number by JSON's grammar? Then its value.
std::optional<json::value> number_value(std::string_view text) {
  if (text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return std::nullopt;
  json::error_code code;
  json::value value = json::parse(text, code);
  if (code || !value.is_number()) return std::nullopt;
  return value;
}

// Recursive descent over the pieces. Each read_* returns false where the text is no call.
class CallReader {
 public:
  explicit CallReader(const std::vector<CallText::Piece>& pieces) : pieces_(pieces) {}

  bool read_call(ToolCall& call) {
    skip_spaces();
    while (is_name_byte(peek())) call.name += take();
    if (call.name.starts_with("call:")) {
      call.name.erase(0, 5);
    } else if (call.name.starts_with(':')) {
      call.name.erase(0, 1);
    }
    if (call.name.empty()) return false;
    skip_spaces();
    if (peek() != '{' || !read_object(call.arguments, 1)) return false;
    skip_spaces();
    return at_end();
  }

 private:
  // A place in the pieces.
  struct Place {
    std::size_t piece = 0;
    std::size_t offset = 0;
  };

  bool at_end() const { return at_.piece == pieces_.size(); }
  bool at_quote() const { return !at_end() && pieces_[at_.piece].is_quote; }
  // The next character of text, 0 at a quote token and at the end. A 0 in the text itself is no syntax anywhere.
  char peek() const { return at_end() || at_quote() ? '\0' : pieces_[at_.piece].text[at_.offset]; }

  // The next character or quote token; nothing at the end.
  char take() {
    if (at_end()) return '\0';
    const char c = peek();
    if (at_quote() || ++at_.offset == pieces_[at_.piece].text.size()) at_ = {at_.piece + 1, 0};
    return c;
  }

  void skip_spaces() {
    while (is_space(peek())) take();
  }

  bool skip(char c) {
    if (peek() != c) return false;
    take();
    return true;
  }

  bool read_object(json::object& object, std::size_t depth) {
    if (depth > kMaxDepth || !skip('{')) return false;
    while (true) {
      skip_spaces();
      if (skip('}')) return true;
      std::string key;
      if (!read_key(key) || !skip(':')) return false;
      json::value value;
      if (!read_value(value, depth)) return false;
      const auto [entry, is_new] = object.emplace(key, value);
      if (!is_new && entry->value() != value) return false;  // one of the two would be lost
      skip_spaces();
      if (!skip(',') && peek() != '}') return false;
    }
  }

  bool read_array(json::array& array, std::size_t depth) {
    if (depth > kMaxDepth || !skip('[')) return false;
    while (true) {
      skip_spaces();
      if (skip(']')) return true;
      json::value value;
      if (!read_value(value, depth)) return false;
      array.push_back(std::move(value));
      skip_spaces();
      if (!skip(',') && peek() != ']') return false;
    }
  }

  bool read_key(std::string& key) {
    if (at_quote() || peek() == '"') {
      const bool is_read = at_quote() ? read_quoted(key) : read_plain_string(key, ":");
      skip_spaces();
      return is_read;
    }
    while (!at_end() && !at_quote() && std::string_view(":,{}[]\"").find(peek()) == std::string_view::npos)
      key += take();
    key = trimmed(key);
    return !key.empty();
  }

  bool read_value(json::value& value, std::size_t depth) {
    skip_spaces();
    if (at_quote() || peek() == '"') {
      std::string text;
      if (!(at_quote() ? read_quoted(text) : read_plain_string(text, ",}]"))) return false;
      value = text;
      return true;
    }
    if (peek() == '{') return read_object(value.emplace_object(), depth + 1);
    if (peek() == '[') return read_array(value.emplace_array(), depth + 1);
    return read_bare(value);
  }

  // Between two quote tokens everything is text.
  bool read_quoted(std::string& text) {
    take();
    while (!at_end() && !at_quote()) text += take();
    if (at_end()) return false;
    take();
    return true;
  }

  // "text" as JSON writes it. A quote ends it only where one of `followers` comes next, as models leave inner quotes
  // unescaped.
  bool read_plain_string(std::string& text, std::string_view followers) {
    take();
    while (!at_end() && !at_quote()) {
      const char c = take();
      if (c == '"' && is_followed_by(followers)) return true;
      if (c == '\\') {
        if (!read_escape(text)) return false;
      } else {
        text += c;
      }
    }
    return false;
  }

  bool is_followed_by(std::string_view followers) {
    const Place here = at_;
    skip_spaces();
    const bool is_followed = at_end() || followers.find(peek()) != std::string_view::npos;
    at_ = here;
    return is_followed;
  }

  bool read_escape(std::string& text) {
    static constexpr std::string_view kLetters = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char letter = take();
    if (const std::size_t i = kLetters.find(letter); i != std::string_view::npos) {
      text += kMeanings[i];
      return true;
    }
    if (letter != 'u') {  // no escape of JSON's: a backslash as such, as in a path or a pattern
      text += '\\';
      if (letter == '\0') return false;
      text += letter;
      return true;
    }
    auto unit = read_hex();
    if (!unit) return false;
    if (*unit >= 0xd800 && *unit < 0xdc00) {
      const auto low = skip('\\') && skip('u') ? read_hex() : std::nullopt;
      if (!low || *low < 0xdc00 || *low >= 0xe000) return false;
      unit = 0x10000 + ((*unit - 0xd800) << 10) + (*low - 0xdc00);
    } else if (*unit >= 0xdc00 && *unit < 0xe000) {
      return false;
    }
    append_code_point(text, *unit);
    return true;
  }

  std::optional<char32_t> read_hex() {
    std::string digits;
    while (digits.size() < 4 && peek() != '\0') digits += take();
    std::uint32_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 4 || result.ptr != digits.data() + 4) return std::nullopt;
    return static_cast<char32_t>(value);
  }

  bool read_bare(json::value& value) {
    std::string word;
    while (!at_end() && !at_quote() && std::string_view(",{}[]\"").find(peek()) == std::string_view::npos)
      word += take();
    word = trimmed(word);
    if (word.empty()) return false;
    if (word == "true" || word == "True") {
      value = true;
    } else if (word == "false" || word == "False") {
      value = false;
    } else if (word == "null" || word == "None") {
      value = nullptr;
    } else if (auto number = number_value(word)) {
      value = *std::move(number);
    } else {
      value = word;
    }
    return true;
  }

  const std::vector<CallText::Piece>& pieces_;
  Place at_;
};

}  // namespace

void CallText::append(std::string_view text) {
  if (text.empty()) return;
  if (pieces_.empty() || pieces_.back().is_quote) pieces_.push_back({false, {}});
  pieces_.back().text += text;
}

void CallText::append_quote() {
  pieces_.push_back({true, {}});
}

std::string CallText::spelled_out() const {
  std::string text;
  for (const Piece& piece : pieces_) text += piece.is_quote ? "<|\"|>" : piece.text;
  return text;
}

std::optional<ToolCall> parse_call(const CallText& text) {
  const auto& pieces = text.pieces();
  if (!std::all_of(pieces.begin(), pieces.end(), [](const auto& piece) { return is_valid_utf8(piece.text); })) {
    return std::nullopt;
  }
  ToolCall call;
  if (!CallReader(pieces).read_call(call)) return std::nullopt;
  return call;
}

}  // namespace carat
