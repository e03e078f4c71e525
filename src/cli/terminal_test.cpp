#include "cli/terminal.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace carat {
namespace {

const std::vector<std::pair<std::string, std::string>>& cases() {
  static const std::vector<std::pair<std::string, std::string>> list{
      {"plain text\n\ttab", "plain text\n\ttab"},
      {"na\u00efve \u00a9 \U0001F44D", "na\u00efve \u00a9 \U0001F44D"},  // U+00A9 begins with byte C2, as C1 does
      {"a\x1b[31mred\x1b[0mb", "aredb"},
      {"a\x1b]0;title\x07"
       "b",
       "ab"},
      {"a\x1b]52;c;ZXZpbA==\x1b\\b", "ab"},
      {"a\x1bP1$tx\x1b\\b", "ab"},
      {"a\x1b(0b", "ab"},
      {"a\x1b"
       "cb",
       "ab"},
      {"a\u009b2Jb", "ab"},
      {"a\u009d0;t\u009c"
       "b",
       "ab"},
      {"a\rb\x08\x7f\x00", "ab"},
      {"a\x1b[31\nb", "a\nb"},      // cut short: what follows is text
      {"a\x1b]0;open\nb", "a\nb"},  // a string that never ends must not swallow the answer
      {"a\x1b[3\u00e9", "a\u00e9"},
      {"a\x1b\x1b[1mb", "ab"},
  };
  return list;
}

TEST(TerminalFilter, TakesOutControlSequences) {
  for (const auto& [text, expected] : cases()) EXPECT_EQ(TerminalFilter().filter(text), expected) << text;
}

TEST(TerminalFilter, WhereTheTextIsCutMakesNoDifference) {
  for (const auto& [text, expected] : cases()) {
    TerminalFilter filter;
    std::string out;
    for (const char c : text) out += filter.filter(std::string_view(&c, 1));
    EXPECT_EQ(out, expected) << text;
  }
}

TEST(Terminal, ColorFollowsTheChoice) {
  EXPECT_TRUE(wants_color("always", false));
  EXPECT_FALSE(wants_color("never", true));
  EXPECT_FALSE(wants_color("auto", false));
}

}  // namespace
}  // namespace carat
