// ProgressBar: a line on stderr that says how far a long job is, how fast and how long it will take.
#pragma once

#include <cstdint>
#include <string>

#include "base/progress.h"
#include "cli/signals.h"
#include "cli/stopwatch.h"

namespace carat {

// Draws on a terminal; elsewhere it is silent, or with JSON a line every second:
// {"done":…,"total":…,"bytes_per_second":…}. Ctrl-C while it lives makes update() throw Error(kCancelled), so that the
// job ends and leaves nothing behind.
class ProgressBar {
 public:
  enum class Style { kTerminal, kJson, kSilent };
  enum class Unit { kBytes, kSeconds };  // kSeconds: of a recording or a film
  // label: what stands before the bar. unit: of update()'s numbers.
  ProgressBar(std::string label, bool is_json, Unit unit = Unit::kBytes);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::uint64_t done, std::uint64_t total);
  Progress callback() {
    return [this](std::uint64_t done, std::uint64_t total) { update(done, total); };
  }
  double seconds() const { return watch_.seconds(); }
  bool is_interrupted() const { return interrupt_.is_interrupted(); }
  // Takes the bar off the terminal until the next update, so that something else can be written there.
  void clear();

 private:
  InterruptGuard interrupt_;
  std::string label_;
  Style style_;
  Unit unit_;
  Stopwatch watch_;
  double drawn_at_ = -1;  // seconds
  std::uint64_t first_done_ = 0;
  bool has_begun_ = false;
  bool has_drawn_ = false;
};

// "1.5 GB", powers of 1000.
std::string bytes_text(std::uint64_t bytes);
// "45 s", "3 min 20 s", "2 h 5 min"
std::string duration_text(double seconds);

}  // namespace carat
