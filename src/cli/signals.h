// Signals: how carat ends when it is told to, and how an interactive answer is stopped without ending.
#pragma once

namespace carat {

// For the whole process, at its start: SIGINT and SIGTERM end it with exit code 128 + number at once (whatever it is
// doing, so that a long prefill ends too), a closed pipe ends it quietly.
void install_signal_handlers();

// Ctrl-C only raises a flag while one of these lives; the terminal's settings are put back if SIGTERM comes. One at a
// time, made by the thread that also asks it.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool is_interrupted() const;
  void clear();
};

}  // namespace carat
