#include "engine/draft_depth.h"

#include <algorithm>

namespace carat {
namespace {

constexpr double kNewShare = 0.1;        // of a new measurement in a running mean
constexpr double kMemory = 0.98;         // what an older guess counts after each newer one
constexpr double kUntriedGrowth = 1.1;   // of an untried pass over one of a row less
constexpr std::size_t kRetryAfter = 32;  // rounds without guesses before one is tried again

void blend(double& mean, double value) {
  mean = mean == 0 ? value : mean + kNewShare * (value - mean);
}

}  // namespace

DraftDepth::DraftDepth(std::size_t max_depth) : pass_(max_depth + 2) {}

double DraftDepth::pass_seconds(std::size_t rows) const {
  std::size_t known = rows;
  while (known > 1 && pass_[known] == 0) --known;
  double seconds = pass_[known];
  for (; known < rows; ++known) seconds *= kUntriedGrowth;
  return seconds;
}

std::size_t DraftDepth::choose(std::size_t limit) {
  const std::size_t max_depth = std::min(limit, pass_.size() - 2);
  if (rounds_at_0_ >= kRetryAfter && max_depth > 0) {
    rounds_at_0_ = 0;
    return 1;
  }
  const double p = right_ / checked_;
  std::size_t best = 0;
  double best_rate = 0;
  double tokens = 0;
  double chance = 1;  // that the first `depth` guesses are all right
  for (std::size_t depth = 0; depth <= max_depth; ++depth) {
    tokens += chance;
    chance *= p;
    // Before anything was measured every pass costs the same, and the deepest round wins: it gets measured.
    const double rate = tokens / std::max(pass_seconds(depth + 1) + static_cast<double>(depth) * draft_, 1e-9);
    if (rate > best_rate) {
      best = depth;
      best_rate = rate;
    }
  }
  rounds_at_0_ = best == 0 ? rounds_at_0_ + 1 : 0;
  return best;
}

void DraftDepth::measured(std::size_t depth, double draft_seconds, double pass_seconds) {
  if (depth > 0) blend(draft_, draft_seconds / static_cast<double>(depth));
  blend(pass_[depth + 1], pass_seconds);
}

void DraftDepth::accepted(std::size_t right, bool is_open) {
  for (std::size_t i = 0; i < right + (is_open ? 0 : 1); ++i) {
    right_ = kMemory * right_ + (i < right ? 1 : 0);
    checked_ = kMemory * checked_ + 1;
  }
}

}  // namespace carat
