// DraftDepth: how many tokens are worth guessing, by what guesses and passes were seen to yield and cost.
#pragma once

#include <cstddef>
#include <vector>

namespace carat {

// Maximises the expected tokens per second of a round that guesses k tokens and checks them in one pass:
//   (1 + p + ... + p^k) / (pass(k + 1) + k * draft),
// p being how often a guess was right, given that those before it were. Both times are running means of what was
// measured; a pass of a size not tried yet is taken to cost little more than the next smaller one, so that it gets
// tried. 0 is a possible answer: then the assistant only slows things down, and it is asked again now and then.
class DraftDepth {
 public:
  explicit DraftDepth(std::size_t max_depth);

  // The next round's depth, at most `limit`.
  std::size_t choose(std::size_t limit);

  // What a round of some depth took: seconds for all of its guesses and for the pass that checked them.
  void measured(std::size_t depth, double draft_seconds, double pass_seconds);
  // Of a round's guesses, how many were right before the first wrong one; is_open where the caller stopped asking
  // before one was wrong.
  void accepted(std::size_t right, bool is_open);

 private:
  double pass_seconds(std::size_t rows) const;

  std::vector<double> pass_;     // [rows]: mean seconds of a pass over that many rows; 0: not measured
  double draft_ = 0;             // mean seconds of one guess
  double right_ = 3;             // guesses that were right and all that were checked, older ones counting less;
  double checked_ = 4;           // the start stands for an assistant that is right three times of four
  std::size_t rounds_at_0_ = 0;  // in a row
};

}  // namespace carat
