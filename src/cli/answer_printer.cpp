#include "cli/answer_printer.h"

namespace carat {

namespace {

constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kPlain = "\x1b[0m";

}  // namespace

void AnswerPrinter::content(std::string_view text) {
  if (text.empty()) return;
  begin(Part::kContent);
  print(text);
}

void AnswerPrinter::thinking(std::string_view text) {
  if (text.empty() || !options_.shows_thinking) return;
  begin(Part::kThinking);
  print(text);
}

void AnswerPrinter::finish() {
  const bool has_printed = part_ != Part::kNone;
  begin(Part::kNone);
  if (has_printed && is_line_open_) print("\n");
  if (options_.is_buffered) write_stdout(held_);
  held_.clear();
}

// Goes from thoughts to answer and back: an empty line between them, the colour with them.
void AnswerPrinter::begin(Part part) {
  if (part == part_) return;
  const auto write = [this](std::string_view text) {
    if (options_.is_buffered) {
      held_ += text;
    } else {
      write_stdout(text);
    }
  };
  if (part_ == Part::kThinking && options_.has_color) write(kPlain);
  if (part_ != Part::kNone && part != Part::kNone) {
    write(is_line_open_ ? "\n\n" : "\n");
    is_line_open_ = false;
  }
  if (part == Part::kThinking && options_.has_color) write(kDim);
  part_ = part;
}

void AnswerPrinter::print(std::string_view text) {
  const std::string clean = options_.is_terminal ? filter_.filter(text) : std::string(text);
  if (clean.empty()) return;
  is_line_open_ = clean.back() != '\n';
  if (options_.is_buffered) {
    held_ += clean;
  } else {
    write_stdout(clean);
  }
}

}  // namespace carat
