#include "cli/media_in_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace carat {
namespace {

using Paths = std::vector<std::string>;

Paths paths_in(std::string_view text) {
  Paths paths;
  for (const MediaInText& medium : find_media(text)) paths.push_back(medium.file.path);
  return paths;
}

// The text with each word that was found replaced by <>.
std::string marked(std::string_view text) {
  std::string out;
  std::size_t copied = 0;
  for (const MediaInText& medium : find_media(text)) {
    out += std::string(text.substr(copied, medium.begin - copied)) + "<>";
    copied = medium.end;
  }
  return out + std::string(text.substr(copied));
}

TEST(MediaInText, FindsPathsAsPeopleTypeAndDropThem) {
  EXPECT_EQ(paths_in("what is in /home/me/a.png?"), Paths{"/home/me/a.png"});
  EXPECT_EQ(paths_in(R"(/home/me/my\ cat.JPG and './a dog.webp', please)"),
            (Paths{"/home/me/my cat.JPG", "./a dog.webp"}));
  EXPECT_EQ(paths_in("\"/a b/c.flac\""), Paths{"/a b/c.flac"});
  EXPECT_EQ(paths_in("file:///tmp/a%20b%C3%A4.mp4"), Paths{"/tmp/a b\xc3\xa4.mp4"});
  EXPECT_EQ(paths_in("../x.wav\n/y/z.bmp"), (Paths{"../x.wav", "/y/z.bmp"}));
}

TEST(MediaInText, KnowsHome) {
  const char* home = std::getenv("HOME");
  const std::string before = home != nullptr ? home : "";
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(paths_in("~/a.png '~/b c.png'"), (Paths{"/home/me/a.png", "/home/me/b c.png"}));
  setenv("HOME", before.c_str(), 1);
}

TEST(MediaInText, TellsTheKinds) {
  const std::vector<MediaInText> found = find_media("/a.gif /a.ogg /a.mkv");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].file.kind, MediaKind::kImage);
  EXPECT_EQ(found[1].file.kind, MediaKind::kAudio);
  EXPECT_EQ(found[2].file.kind, MediaKind::kVideo);
}

TEST(MediaInText, LeavesTheRestOfTheText) {
  EXPECT_EQ(marked("what is in '/home/me/a b.png'? And /c.png."), "what is in <>? And <>.");
  EXPECT_EQ(marked("/a.png"), "<>");
}

TEST(MediaInText, TakesNoOtherWords) {
  for (const char* text : {"", " ", "a.png", "the file logo.png of my page", "http://example.org/a.png", "/etc/passwd",
                           "don't look/at.this", "it's \"quoted", "\\", "file://", "%", "/a.png/", "'"}) {
    EXPECT_TRUE(find_media(text).empty()) << text;
  }
}

}  // namespace
}  // namespace carat
