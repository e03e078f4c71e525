// RunningSoftmax: the softmax of one query over keys that come block by block.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "kernels/kernel_table.h"

namespace carat {

struct RunningSoftmax {
  float max = -std::numeric_limits<float>::infinity();  // of the scores so far
  float sum = 0;                                        // of exp(score - max)

  // Turns the scores of n more keys into weights exp(score - max). Returns what everything weighted so far is to be
  // multiplied by, as the maximum may have grown.
  float weigh(const KernelTable& kernels, std::size_t n, float* scores) {
    const float new_max = std::max(max, kernels.max(scores, n));
    const float shrink = std::exp(max - new_max);
    max = new_max;
    sum = std::fma(sum, shrink, kernels.exp_shifted(new_max, n, scores));
    return shrink;
  }
};

}  // namespace carat
