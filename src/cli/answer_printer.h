// AnswerPrinter: an answer as it comes, on stdout.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cli/terminal.h"
#include "cli/word_wrap.h"

namespace carat {

enum class ThoughtsView {
  kHidden,
  kFolded,  // one line that says how many words they have
  kShown,
};

class AnswerPrinter {
 public:
  struct Options {
    bool is_terminal = false;  // control sequences are taken out
    bool has_color = false;    // thoughts are dimmed
    bool is_wrapped = false;   // lines are broken between words at the terminal's edge
    ThoughtsView thoughts = ThoughtsView::kHidden;
    bool is_buffered = false;  // nothing is printed before finish()
  };

  explicit AnswerPrinter(Options options) : options_(options) {}

  void content(std::string_view text);
  void thinking(std::string_view text);
  // Ends the last line if it is open, and prints what was held back.
  void finish();

 private:
  enum class Part { kNone, kThinking, kContent };
  void begin(Part part);
  void print(std::string_view text);
  void write(std::string_view text);
  void update_fold(std::string_view text);

  Options options_;
  TerminalFilter filter_;
  WordWrap wrap_;
  Part part_ = Part::kNone;
  bool is_line_open_ = false;
  std::size_t thought_words_ = 0;
  bool is_in_thought_word_ = false;
  std::string held_;  // of a buffered answer
};

}  // namespace carat
