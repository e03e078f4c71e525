// `carat serve` as a process: the signals it stops by, what it tells systemd, and its log.
#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

namespace carat {

// Tells systemd how things stand, where it is what started us (sd_notify(3)).
void notify_systemd(std::string_view state);

// SIGINT, SIGTERM and SIGHUP, which only await() hears while this lives. Made before any thread is.
class ServeSignals {
 public:
  ServeSignals();
  ServeSignals(const ServeSignals&) = delete;
  ServeSignals& operator=(const ServeSignals&) = delete;

  // The signal, or 0 when none came in time.
  int await(std::chrono::milliseconds time) const;
  // Whether it asks to read keys and certificates again. SIGHUP does, unless it says that the terminal is gone in which
  // the server was started; all else asks to stop.
  bool asks_to_reload(int signal) const;

 private:
  sigset_t signals_{};
  bool had_terminal_;
};

// Lines to stderr, in the order in which they come. Nobody waits: where stderr is not read, lines are dropped, and how
// many is said once it is.
class LineLog {
 public:
  LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  // Any thread. line: without its end.
  void write(std::string line);

 private:
  static constexpr std::size_t kMostWaiting = 4096;  // lines

  void run(const std::stop_token& stop);

  std::mutex mutex_;  // guards lines_ and dropped_
  std::condition_variable_any has_lines_;
  std::deque<std::string> lines_;
  std::size_t dropped_ = 0;
  std::jthread thread_;  // last: joined before what it uses goes
};

}  // namespace carat
