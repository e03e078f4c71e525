// StepCosts: what steps have cost lately, and so how many rows of prompts a step may have beside others' tokens.
#pragma once

#include <cstddef>

namespace carat {

class StepCosts {
 public:
  // A step that computed so many rows of prompts beside so many of answers.
  void add(std::size_t prompt_rows, std::size_t answer_rows, double seconds);

  // As many rows of prompts as make a step about twice as long as it is without them, at least kFewest.
  std::size_t rows_beside(std::size_t most) const;

  static constexpr std::size_t kFewest = 8;

 private:
  double answer_seconds_ = 0;  // of a step without prompts; 0: not known yet
  double row_seconds_ = 0;     // that a row of a prompt adds
};

}  // namespace carat
