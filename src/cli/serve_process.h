// `carat serve` as a process: the signals it stops by, and what it tells systemd.
#pragma once

#include <chrono>
#include <csignal>
#include <string_view>

namespace carat {

// Tells systemd how things stand, where it is what started us (sd_notify(3)).
void notify_systemd(std::string_view state);

// SIGINT and SIGTERM, which only await() hears while this lives. Made before any thread is.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The signal, or 0 when none came in time.
  int await(std::chrono::milliseconds time) const;

 private:
  sigset_t signals_{};
};

}  // namespace carat
