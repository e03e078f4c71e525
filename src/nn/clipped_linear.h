// ClippedLinear: a linear layer between two clamps (the towers of E2B and E4B).
#pragma once

#include <limits>
#include <span>

#include "base/view.h"
#include "kernels/weight_matrix.h"
#include "nn/compute.h"

namespace carat {

struct ClipRange {
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();

  bool is_open() const {
    return min == -std::numeric_limits<float>::infinity() && max == std::numeric_limits<float>::infinity();
  }
};

struct ClippedLinearWeights {
  WeightMatrix weight;  // [outputs, inputs]
  ClipRange input;      // open where the model does not clip
  ClipRange output;
};

// x = min(max(x, range.min), range.max); NaN stays NaN. x: [rows, n].
void clamp(const Compute& compute, ClipRange range, MatView<float> x);

// out = norm(clamp(x)) * weight, as rms_norm does it; out may be x, which is clamped then.
void clamped_norm(const Compute& compute, ClipRange range, MatView<const float> x, std::span<const float> weight,
                  float eps, MatView<float> out);

// out = clamp(W clamp(x)). x: [rows, inputs], out: [rows, outputs]; clipped: scratch [rows, inputs], written only where
// the input is clipped; it may be x, which is clamped then. Reference: Gemma4ClippableLinear.forward.
void clipped_linear(const Compute& compute, const ClippedLinearWeights& weights, MatView<const float> x,
                    MatView<float> clipped, MatView<float> out);

}  // namespace carat
