// WordWrap: breaks running text between words, where the terminal's right edge is, while it is still coming.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace carat {

// A word is shown as its pieces come. When it turns out too long for its line, it is rubbed out there and shown again
// on the next one. Lines of code blocks (``` above and below) and words longer than a line are left to the terminal.
class WordWrap {
 public:
  // text: whole UTF-8 characters, control characters only line feed and tab. columns: the terminal's width now; 0 for
  // none, which leaves the text as it is. The last column stays free: terminals differ in what a character there does.
  std::string push(std::string_view text, std::size_t columns);
  // What comes next begins a line of its own.
  void begin_line();

 private:
  void put(std::string_view character, std::size_t width, std::size_t columns, std::string& out);
  void end_word();

  std::size_t column_ = 0;        // where the next character goes
  std::string word_;              // the word so far, if all of it is on this line
  std::size_t word_columns_ = 0;  // its width; equal to column_ where it began the line
  std::string line_start_;        // of the text's own line, up to three characters
  bool is_code_ = false;
};

// How many columns a character takes at a terminal: 0, 1 or 2. text: one UTF-8 character.
std::size_t display_width(std::string_view character);

}  // namespace carat
