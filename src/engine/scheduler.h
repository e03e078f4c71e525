// Scheduler: which rows the next step computes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace carat {

// A running sequence, as the scheduler sees it.
struct Runnable {
  std::size_t remaining = 0;    // rows not computed yet, >= 1
  bool is_generating = false;   // its prompt is done: the one row left gives its next token
  std::size_t indivisible = 0;  // so many of the next rows can't be parted (a picture seen whole); 0: any number
};

struct StepLimits {
  std::size_t rows = 0;         // of a step
  std::size_t rows_beside = 0;  // of prompts, where somebody waits for the step to end
};

// How many rows of each sequence the next step computes; a function of its arguments alone. Sequences come in the order
// in which they were admitted.
//
// - Whoever generates gets its row, every step.
// - A prompt that is alone gets whole steps. Beside others, prompts share rows_beside rows a step, so that nobody's
// next
//   token waits much longer than without them; half of these rows, though, go to the oldest prompt, so that it comes to
//   its end whatever arrives.
// - Where nobody generates yet, the shortest prompt is taken as a whole: somebody should see a first token soon.
// A sequence that can't be parted where the rows end gets them all, as long as the step has room.
std::vector<std::size_t> plan_step(std::span<const Runnable> sequences, const StepLimits& limits);

}  // namespace carat
