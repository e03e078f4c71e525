#include "cli/word_wrap.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/unicode.h"

namespace carat {
namespace {

// What a terminal of that width shows, line by line: it knows line feeds, ESC[nD (left) and ESC[K (erase the rest).
std::vector<std::string> shown(std::string_view text, std::size_t columns) {
  std::vector<std::vector<std::string>> lines(1);
  std::size_t column = 0;
  while (!text.empty()) {
    if (text.starts_with("\x1b[")) {
      const std::size_t end = text.find_first_of("DK");
      if (text[end] == 'D') column -= std::stoul(std::string(text.substr(2, end - 2)));
      if (text[end] == 'K') lines.back().resize(column);
      text.remove_prefix(end + 1);
      continue;
    }
    const std::size_t length = utf8_character_length(text);
    const std::string character(text.substr(0, length));
    text.remove_prefix(length);
    const std::size_t width = character == "\n" ? 0 : display_width(character);
    if (character == "\n" || column + width > columns) {
      lines.emplace_back();
      column = 0;
      if (character == "\n") continue;
    }
    lines.back().push_back(character);
    for (std::size_t i = 1; i < width; ++i) lines.back().emplace_back();
    column += width;
  }
  std::vector<std::string> out;
  for (const auto& line : lines) {
    out.emplace_back();
    for (const std::string& character : line) out.back() += character;
    while (out.back().ends_with(' ')) out.back().pop_back();
  }
  return out;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t columns, std::size_t piece) {
  WordWrap wrap;
  std::string out;
  while (!text.empty()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < piece && length < text.size(); ++i)
      length += utf8_character_length(text.substr(length));
    out += wrap.push(text.substr(0, length), columns);
    text.remove_prefix(length);
  }
  return shown(out, columns);
}

using Lines = std::vector<std::string>;

TEST(WordWrap, BreaksBetweenWordsWhateverThePieces) {
  struct Case {
    std::string_view text;
    Lines lines;
  };
  const std::vector<Case> cases{
      {"one two three four", {"one two", "three", "four"}},
      {"one two\nthree", {"one two", "three"}},
      {"a\n\n  indent", {"a", "", "  indent"}},
      {"123456789 x", {"123456789", "x"}},
      {"1234567890 x", {"1234567890", " x"}},  // as wide as the line: the terminal breaks it
      {"abc 12345678901234 x", {"abc", "1234567890", "1234 x"}},
      {"\u6f22\u5b57\u6f22\u5b57\u6f22\u5b57", {"\u6f22\u5b57\u6f22\u5b57", "\u6f22\u5b57"}},
      {"abc \u6f22\u5b57\u6f22\u5b57", {"abc \u6f22\u5b57", "\u6f22\u5b57"}},
      {"cafe\u0301 cafe\u0301 x", {"cafe\u0301 cafe\u0301", "x"}},
      {"```\nint a = 1;\n```\none two three", {"```", "int a = 1;", "```", "one two", "three"}},
      {"", {""}},
  };
  for (const Case& c : cases) {
    for (std::size_t piece = 1; piece < 6; ++piece) EXPECT_EQ(wrapped(c.text, 10, piece), c.lines) << c.text << piece;
  }
}

TEST(WordWrap, LeavesTextAloneWithoutAWidth) {
  WordWrap wrap;
  EXPECT_EQ(wrap.push("one two three four", 0), "one two three four");
}

TEST(WordWrap, FollowsANewWidth) {
  WordWrap wrap;
  std::string out = wrap.push("one two thr", 40);
  out += wrap.push("ee four", 10);
  EXPECT_EQ(shown(out, 40), (Lines{"one two", "three", "four"}));
}

}  // namespace
}  // namespace carat
