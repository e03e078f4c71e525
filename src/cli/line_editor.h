// LineEditor: one message from a person at a terminal, with editing, history and bracketed paste. Over libedit.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/signals.h"

namespace carat {

struct LineResult {
  enum class Event { kLine, kInterrupt, kEnd };
  Event event = Event::kEnd;
  // Of kLine: without the line feed that ended it; a pasted text may hold others. Of kInterrupt: what had been typed.
  std::string text;
};

// Puts a message together from lines: a line that begins with """ goes on until one ends with """, and a line that
// ends with a backslash goes on with the next one.
class MessageAssembler {
 public:
  // Returns true when the message is complete.
  bool add_line(std::string_view line);
  bool is_open() const { return is_open_; }
  // The message so far; begins a new one.
  std::string take();

 private:
  std::string text_;
  bool is_open_ = false;
  bool is_fenced_ = false;
};

// What a line that begins like this could go on to: whole lines up to the cursor, all beginning with `typed`.
using Completer = std::function<std::vector<std::string>(const std::string& typed)>;

// Keys beyond those of Emacs: Tab completes, or lists what there is; Ctrl-R searches the history; Ctrl-G opens the
// message in $VISUAL, $EDITOR or vi.
class LineEditor {
 public:
  // history_file: where earlier lines come from and go to (mode 0600), its folder is made; empty for none.
  LineEditor(const InterruptGuard& guard, std::filesystem::path history_file, Completer completer);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // One line. kInterrupt when Ctrl-C came, kEnd at the end of input.
  LineResult read_line(std::string_view prompt);
  // A whole message: lines until MessageAssembler has it complete.
  LineResult read_message(std::string_view prompt, std::string_view continuation_prompt);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// $XDG_STATE_HOME/carat/history, or ~/.local/state/carat/history; empty where there is no home.
std::filesystem::path default_history_file();

}  // namespace carat
