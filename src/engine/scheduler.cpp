#include "engine/scheduler.h"

#include <algorithm>
#include <numeric>

namespace carat {

std::vector<std::size_t> plan_step(std::span<const Runnable> sequences, const StepLimits& limits) {
  std::vector<std::size_t> rows(sequences.size(), 0);
  std::size_t room = limits.rows;
  std::vector<std::size_t> prompts;  // oldest first
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (!sequences[i].is_generating) {
      prompts.push_back(i);
    } else if (room > 0) {
      rows[i] = 1;
      --room;
    }
  }
  if (prompts.empty()) return rows;

  // Gives prompt i up to `most` more rows; more than that where its next rows can't be parted.
  const auto give = [&](std::size_t i, std::size_t most) {
    const Runnable& sequence = sequences[i];
    std::size_t more = std::min(sequence.remaining - rows[i], most);
    if (rows[i] == 0 && more > 0) more = std::max(more, std::min(sequence.indivisible, sequence.remaining));
    if (more > room) more = sequence.indivisible > room && rows[i] == 0 ? 0 : room;
    rows[i] += more;
    room -= more;
    return more;
  };

  const bool is_anyone_generating = prompts.size() < sequences.size();
  const std::size_t oldest = prompts.front();
  std::ranges::stable_sort(prompts, {}, [&](std::size_t i) { return sequences[i].remaining; });
  std::size_t beside = std::min(limits.rows_beside, room);
  if (!is_anyone_generating) {
    if (prompts.size() == 1) beside = 0;
    give(prompts.front(), std::max<std::size_t>(1, room - beside));
    beside = std::min(beside, room);
  }
  beside -= std::min(beside, give(oldest, (beside + 1) / 2));
  for (const std::size_t i : prompts) beside -= std::min(beside, give(i, beside));
  return rows;
}

}  // namespace carat
