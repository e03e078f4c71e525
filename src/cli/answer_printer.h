// AnswerPrinter: an answer as it comes, on stdout.
#pragma once

#include <string>
#include <string_view>

#include "cli/terminal.h"

namespace carat {

class AnswerPrinter {
 public:
  struct Options {
    bool is_terminal = false;     // control sequences are taken out
    bool has_color = false;       // thoughts are dimmed
    bool shows_thinking = false;  // thoughts are printed at all
    bool is_buffered = false;     // nothing is printed before finish()
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

  Options options_;
  TerminalFilter filter_;
  Part part_ = Part::kNone;
  bool is_line_open_ = false;
  std::string held_;  // of a buffered answer
};

}  // namespace carat
