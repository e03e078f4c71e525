#include "engine/step_costs.h"

#include <algorithm>

namespace carat {
namespace {

constexpr std::size_t kUnknown = 32;     // rows, before anything was measured
constexpr double kPromptShare = 1.0;     // time for prompts, as a multiple of a step without them
constexpr double kWeightOfLatest = 0.2;  // of running means

void add_to_mean(double& mean, double latest) {
  mean = mean == 0 ? latest : mean + kWeightOfLatest * (latest - mean);
}

}  // namespace

void StepCosts::add(std::size_t prompt_rows, std::size_t answer_rows, double seconds) {
  if (prompt_rows == 0) {
    add_to_mean(answer_seconds_, seconds);
  } else if (prompt_rows >= kFewest) {
    const double prompt_seconds = answer_rows == 0 ? seconds : std::max(0.0, seconds - answer_seconds_);
    add_to_mean(row_seconds_, prompt_seconds / static_cast<double>(prompt_rows));
  }
}

std::size_t StepCosts::rows_beside(std::size_t most) const {
  std::size_t rows = kUnknown;
  if (answer_seconds_ > 0 && row_seconds_ > 0) {
    const double wanted = kPromptShare * answer_seconds_ / row_seconds_;
    rows = static_cast<std::size_t>(std::clamp(wanted, static_cast<double>(kFewest), static_cast<double>(most)));
  }
  return std::min(rows, most);
}

}  // namespace carat
