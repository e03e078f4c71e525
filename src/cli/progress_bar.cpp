#include "cli/progress_bar.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "cli/terminal.h"

namespace carat {
namespace {

constexpr std::size_t kBarColumns = 24;
constexpr double kTerminalInterval = 0.1;  // seconds between two drawings
constexpr double kJsonInterval = 1.0;

std::string amount_text(ProgressBar::Unit unit, std::uint64_t amount) {
  return unit == ProgressBar::Unit::kBytes ? bytes_text(amount) : duration_text(static_cast<double>(amount));
}

// How fast it goes, against the clock where it is seconds that are worked off.
std::string rate_text(ProgressBar::Unit unit, double rate) {
  if (unit == ProgressBar::Unit::kBytes) return bytes_text(static_cast<std::uint64_t>(rate)) + "/s";
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << rate << "x real time";
  return out.str();
}

}  // namespace

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::ostringstream out;
  out << std::fixed << std::setprecision(unit >= 2 && value < 99.95 ? 1 : 0) << value << ' ' << kUnits[unit];
  return out.str();
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::ceil(std::clamp(seconds, 0.0, 1e9)));
  if (whole < 60) return str(whole, " s");
  if (whole < 3600) return str(whole / 60, " min ", whole % 60, " s");
  return str(whole / 3600, " h ", whole / 60 % 60, " min");
}

ProgressBar::ProgressBar(std::string label, bool is_json, Unit unit)
    : label_(std::move(label)),
      style_(is_json ? Style::kJson : (stderr_is_terminal() ? Style::kTerminal : Style::kSilent)),
      unit_(unit) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::clear() {
  if (style_ == Style::kTerminal && has_drawn_) write_stderr("\r\x1b[K");
  drawn_at_ = -1;
}

void ProgressBar::update(std::uint64_t done, std::uint64_t total) {
  if (interrupt_.is_interrupted()) throw Error(ErrorKind::kCancelled, "stopped; nothing half-written was left");
  if (!has_begun_) first_done_ = done;
  has_begun_ = true;
  const double now = watch_.seconds();
  const bool is_due =
      drawn_at_ < 0 || done >= total || now - drawn_at_ >= (style_ == Style::kJson ? kJsonInterval : kTerminalInterval);
  if (style_ == Style::kSilent || !is_due) return;
  drawn_at_ = now;
  has_drawn_ = true;
  const double rate = now > 0 ? static_cast<double>(done - std::min(done, first_done_)) / now : 0;
  if (style_ == Style::kJson) {
    const json::object line{{"done", done}, {"total", total}, {"bytes_per_second", static_cast<std::uint64_t>(rate)}};
    write_stdout(json::serialize(line) + "\n");
    return;
  }
  const double share = total == 0 ? 1 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(share * kBarColumns);
  std::string line = str("\r\x1b[K", label_, " [", std::string(filled, '='), std::string(kBarColumns - filled, ' '),
                         "] ", static_cast<int>(share * 100), "%  ", amount_text(unit_, done), " of ",
                         amount_text(unit_, total), "  ", rate_text(unit_, rate));
  if (rate > 0 && done < total) line += str("  ", duration_text(static_cast<double>(total - done) / rate), " left");
  write_stderr(line);
}

}  // namespace carat
