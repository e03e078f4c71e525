#include "cli/line_editor.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace carat {
namespace {

TEST(MessageAssembler, ALineIsAMessage) {
  MessageAssembler message;
  EXPECT_TRUE(message.add_line("hello"));
  EXPECT_EQ(message.take(), "hello");
  EXPECT_TRUE(message.add_line("two\nlines, pasted"));
  EXPECT_EQ(message.take(), "two\nlines, pasted");
}

TEST(MessageAssembler, ABackslashGoesOn) {
  MessageAssembler message;
  EXPECT_FALSE(message.add_line("first\\"));
  EXPECT_TRUE(message.is_open());
  EXPECT_FALSE(message.add_line("second\\"));
  EXPECT_TRUE(message.add_line("third"));
  EXPECT_FALSE(message.is_open());
  EXPECT_EQ(message.take(), "first\nsecond\nthird");
}

TEST(MessageAssembler, FencesHoldAnything) {
  MessageAssembler message;
  EXPECT_FALSE(message.add_line("\"\"\"first\\"));
  EXPECT_FALSE(message.add_line(""));
  EXPECT_TRUE(message.add_line("last\"\"\""));
  EXPECT_EQ(message.take(), "first\\\n\nlast");
  EXPECT_TRUE(message.add_line("\"\"\"one line\"\"\""));
  EXPECT_EQ(message.take(), "one line");
  EXPECT_FALSE(message.add_line("\"\"\""));
  EXPECT_TRUE(message.add_line("\"\"\""));
  EXPECT_EQ(message.take(), "\n");
  EXPECT_TRUE(message.add_line("no fence\"\"\""));
  EXPECT_EQ(message.take(), "no fence\"\"\"");
}

TEST(HistoryFile, FollowsTheXdgFolders) {
  ::setenv("HOME", "/home/somebody", 1);
  ::unsetenv("XDG_STATE_HOME");
  EXPECT_EQ(default_history_file(), "/home/somebody/.local/state/carat/history");
  ::setenv("XDG_STATE_HOME", "relative", 1);  // to be ignored, says the XDG Base Directory Specification
  EXPECT_EQ(default_history_file(), "/home/somebody/.local/state/carat/history");
  ::setenv("XDG_STATE_HOME", "/state", 1);
  EXPECT_EQ(default_history_file(), "/state/carat/history");
}

}  // namespace
}  // namespace carat
