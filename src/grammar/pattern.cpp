#include "grammar/pattern.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxSize = 20'000;  // elements, repetitions counted as often as they may occur

// How often an element may stand, as far as it has to be written out: "{2,5}" 5, "{3,}" 3, "*" 1.
struct Repetition {
  std::size_t times = 1;
  std::size_t length = 0;  // of its text
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Repetition repetition_at(std::string_view text) {
  if (text.empty() || text[0] != '{') return {};
  std::size_t most = 0;
  std::size_t number = 0;
  std::size_t i = 1;
  for (; i < text.size() && text[i] != '}'; ++i) {
    if (is_digit(text[i])) {
      number = std::min<std::size_t>(number * 10 + static_cast<std::size_t>(text[i] - '0'), 1'000'000'000);
      most = std::max(most, number);
    } else if (text[i] == ',') {
      number = 0;
    } else if (text[i] != ' ') {
      return {};  // no repetition, as in the regular expression "{a}"
    }
  }
  if (i >= text.size()) return {};
  return {std::max<std::size_t>(most, 1), i + 1};
}

// Counts what a text of groups and repetitions comes to when all is written out.
class SizeCounter {
 public:
  explicit SizeCounter(std::string_view where) : where_(where) {}

  void open() {
    if (groups_.size() > kMaxDepth) refuse(str("nests more than ", kMaxDepth, " deep"));
    groups_.push_back(0);
  }
  void close(const Repetition& repetition) {
    if (groups_.size() == 1) throw Error(ErrorKind::kBadInput, str(where_, ": a \")\" without its \"(\""));
    const std::size_t inside = groups_.back();
    groups_.pop_back();
    add(inside + 1, repetition);
  }
  void element(const Repetition& repetition) { add(1, repetition); }
  void finish() const {
    if (groups_.size() > 1) throw Error(ErrorKind::kBadInput, str(where_, ": a \"(\" without its \")\""));
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorKind::kBadInput, str(where_, ": ", what));
  }
  void add(std::size_t size, const Repetition& repetition) {
    // Neither factor is above 10^9: no overflow.
    groups_.back() += size * repetition.times;
    if (groups_.back() > kMaxSize) {
      refuse(str("comes to more than ", kMaxSize, " elements when its repetitions are written out"));
    }
  }

  std::string_view where_;
  std::vector<std::size_t> groups_{0};  // size so far, from the outermost to the one that is open
};

// Where a class of characters that begins at text[0] == '[' ends, behind its bracket.
std::size_t class_length(std::string_view text, std::string_view where) {
  std::size_t i = 1;
  if (i < text.size() && text[i] == '^') ++i;
  for (bool is_first = true; i < text.size(); ++i, is_first = false) {
    if (text[i] == ']' && !is_first) return i + 1;
    if (text[i] == ']' && is_first) return i + 1;  // "[]" and "[^]", as ECMAScript has them
    if (text[i] == '\\') ++i;
  }
  throw Error(ErrorKind::kBadInput, str(where, ": a \"[\" without its \"]\""));
}

// A piece of a regular expression between two | that are in no group.
struct Alternative {
  std::string text;
  bool begins_anchored = false;
  bool ends_anchored = false;
};

class PatternReader {
 public:
  PatternReader(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where), size_(where) {}

  std::vector<Alternative> read() {
    if (!is_valid_utf8(pattern_)) bad("is not UTF-8");
    if (pattern_.size() > kMaxSize) bad(str("has more than ", kMaxSize, " bytes"));
    while (at_ < pattern_.size()) read_element();
    size_.finish();
    finish_alternative();
    return std::move(alternatives_);
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    throw Error(ErrorKind::kBadInput, str(where_, ": the pattern \"", printable(pattern_), "\" ", what));
  }
  [[noreturn]] void unsupported(std::string_view what) const {
    throw Error(ErrorKind::kUnsupported, str(where_, ": the pattern \"", printable(pattern_), "\" has ", what,
                                             ", which is not supported in answers"));
  }

  char next(std::size_t offset = 0) const { return at_ + offset < pattern_.size() ? pattern_[at_ + offset] : '\0'; }
  void take(std::size_t length) {
    current_.text += pattern_.substr(at_, length);
    at_ += length;
  }

  void read_element() {
    if (current_.ends_anchored && next() != '|') unsupported("a \"$\" before its end");
    switch (next()) {
      case '|':
        if (depth_ == 0) {
          ++at_;
          finish_alternative();
        } else {
          take(1);
        }
        return;
      case '(':
        read_group();
        return;
      case ')':
        take(1);
        if (depth_ > 0) --depth_;
        size_.close(read_quantifier());
        return;
      case '^':
        if (depth_ > 0 || !current_.text.empty()) unsupported("a \"^\" behind its beginning");
        current_.begins_anchored = true;
        ++at_;
        return;
      case '$':
        if (depth_ > 0) unsupported("a \"$\" in a group");
        current_.ends_anchored = true;
        ++at_;
        return;
      case '*':
      case '+':
      case '?':
        bad("repeats nothing");
      case '[':
        take(class_length(pattern_.substr(at_), where_));
        break;
      case '\\':
        read_escape();
        break;
      default:
        if (next() == '{' && repetition_at(pattern_.substr(at_)).length > 0) bad("repeats nothing");
        take(1);
        while ((static_cast<unsigned char>(next()) & 0xc0) == 0x80) take(1);  // the rest of a character
    }
    size_.element(read_quantifier());
  }

  void read_group() {
    if (next(1) == '?') {
      if (next(2) == ':') {
        take(3);
      } else if (next(2) == '<' && next(3) != '=' && next(3) != '!') {  // a name has no use here
        const std::size_t end = pattern_.find('>', at_);
        if (end == std::string_view::npos) bad("has a name without its \">\"");
        at_ = end + 1;
        current_.text += "(";
      } else {
        unsupported("a group that looks ahead or behind, or sets a flag (\"(?\")");
      }
    } else {
      take(1);
    }
    ++depth_;
    size_.open();
  }

  void read_escape() {
    const char c = next(1);
    if (c == '\0') bad("ends with a backslash");
    if (c == 'b' || c == 'B') unsupported("a word boundary (\"\\b\")");
    if (c == 'p' || c == 'P') unsupported("a class of Unicode (\"\\p\")");
    if (c == 'k' || (c >= '1' && c <= '9')) unsupported("a reference back");
    take(2);
  }

  Repetition read_quantifier() {
    Repetition result;
    if (next() == '*' || next() == '+' || next() == '?') {
      take(1);
    } else {
      result = repetition_at(pattern_.substr(at_));
      if (result.length == 0) return result;
      take(result.length);
    }
    if (next() == '?') ++at_;  // "as few as possible" says nothing about which texts match
    if (next() == '*' || next() == '+' || next() == '?') bad("repeats a repetition");
    return result;
  }

  void finish_alternative() {
    alternatives_.push_back(std::move(current_));
    current_ = {};
  }

  std::string_view pattern_;
  std::string_view where_;
  SizeCounter size_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  Alternative current_;
  std::vector<Alternative> alternatives_;
};

}  // namespace

std::string whole_text_pattern(std::string_view pattern, std::string_view where) {
  std::string result;
  for (const Alternative& part : PatternReader(pattern, where).read()) {
    result += str(result.empty() ? "" : "|", part.begins_anchored ? "" : ".*", "(", part.text, ")",
                  part.ends_anchored ? "" : ".*");
  }
  return result;
}

std::string checked_pattern(std::string_view pattern, std::string_view where) {
  std::string result;
  bool is_first = true;
  for (const Alternative& part : PatternReader(pattern, where).read()) {
    result += (is_first ? "" : "|") + part.text;
    is_first = false;
  }
  return result;
}

void check_grammar_text(std::string_view text) {
  constexpr std::string_view kWhere = "grammar";
  if (!is_valid_utf8(text)) throw Error(ErrorKind::kBadInput, "grammar: is not UTF-8");
  SizeCounter size(kWhere);
  const auto repetition = [&](std::size_t at) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    return repetition_at(text.substr(std::min(at, text.size())));
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i) {
        if (text[i] == '\\') ++i;
      }
      size.element(repetition(i + 1));
    } else if (c == '[') {
      i += class_length(text.substr(i), kWhere) - 1;
      size.element(repetition(i + 1));
    } else if (c == '(') {
      size.open();
    } else if (c == ')') {
      size.close(repetition(i + 1));
    } else if (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_') {
      const std::size_t begin = i;
      const auto is_name = [](char letter) {
        return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '-' || letter == '.';
      };
      while (i + 1 < text.size() && is_name(text[i + 1])) ++i;
      const std::string_view name = text.substr(begin, i + 1 - begin);
      if (name == "Token" || name == "ExcludeToken" || name == "TokenTagDispatch" || name.starts_with("carat-")) {
        throw Error(ErrorKind::kUnsupported, str("grammar: \"", printable(name), "\" is not available in a grammar"));
      }
      size.element(repetition(i + 1));
    }
  }
  size.finish();
}

}  // namespace carat
