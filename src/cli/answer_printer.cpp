#include "cli/answer_printer.h"

#include "base/error.h"

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
  if (text.empty() || options_.thoughts == ThoughtsView::kHidden) return;
  begin(Part::kThinking);
  if (options_.thoughts == ThoughtsView::kFolded) {
    update_fold(text);
  } else {
    print(text);
  }
}

void AnswerPrinter::finish() {
  const bool has_printed = part_ != Part::kNone;
  begin(Part::kNone);
  if (has_printed && is_line_open_) write("\n");
  is_line_open_ = false;
  wrap_.begin_line();
  if (options_.is_buffered) write_stdout(held_);
  held_.clear();
}

// Goes from thoughts to answer and back: an empty line between them, the colour with them.
void AnswerPrinter::begin(Part part) {
  if (part == part_) return;
  if (part_ == Part::kThinking && options_.has_color) write(kPlain);
  if (part_ != Part::kNone && part != Part::kNone) {
    write(is_line_open_ ? "\n\n" : "\n");
    is_line_open_ = false;
    wrap_.begin_line();
  }
  if (part == Part::kThinking && options_.has_color) write(kDim);
  if (part == Part::kThinking && options_.thoughts == ThoughtsView::kFolded) thought_words_ = 0;
  part_ = part;
}

// The one line that stands for thoughts, written anew as they grow; once only where a line can't be.
void AnswerPrinter::update_fold(std::string_view text) {
  const std::size_t before = thought_words_;
  for (const char c : text) {
    const bool is_blank = c == ' ' || c == '\n' || c == '\t';
    if (!is_blank && !is_in_thought_word_) ++thought_words_;
    is_in_thought_word_ = !is_blank;
  }
  if (thought_words_ == before) return;
  if (options_.is_terminal && terminal_has_control_sequences()) {
    write(str("\r\x1b[K(thoughts: ", thought_words_, thought_words_ == 1 ? " word)" : " words)"));
  } else if (before == 0) {
    write("(thoughts)");
  }
  is_line_open_ = true;
}

void AnswerPrinter::print(std::string_view text) {
  const std::string clean = options_.is_terminal ? filter_.filter(text) : std::string(text);
  if (clean.empty()) return;
  is_line_open_ = clean.back() != '\n';
  write(options_.is_wrapped ? wrap_.push(clean, terminal_columns()) : clean);
}

void AnswerPrinter::write(std::string_view text) {
  if (options_.is_buffered) {
    held_ += text;
  } else {
    write_stdout(text);
  }
}

}  // namespace carat
