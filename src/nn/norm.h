// RMSNorm over rows of activations.
#pragma once

#include <span>

#include "base/view.h"
#include "nn/compute.h"

namespace carat {

// out[row] = x[row] * weight / sqrt(mean(x[row]^2) + eps). x, out: [rows, n]; out may be x. weight: [n], or empty for
// a norm without weight. The weight is used as it is: no 1 + w (reference: Gemma4RMSNorm.forward).
void rms_norm(const Compute& compute, MatView<const float> x, std::span<const float> weight, float eps,
              MatView<float> out);

// out[row] = (x[row] - mean) / sqrt(variance + eps) * weight + bias. x, out: [rows, n]; out may be x. weight, bias:
// [n]. Mean and variance are summed in double. Reference: torch.nn.LayerNorm.
void layer_norm(const Compute& compute, MatView<const float> x, std::span<const float> weight,
                std::span<const float> bias, float eps, MatView<float> out);

// y += x, both [rows, n].
void add(const Compute& compute, MatView<const float> x, MatView<float> y);

// x *= factor.
void scale(const Compute& compute, float factor, MatView<float> x);

}  // namespace carat
