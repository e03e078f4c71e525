#include "nn/clipped_linear.h"

#include <algorithm>

namespace carat {
namespace {

void clamp_row(ClipRange range, std::span<const float> x, std::span<float> out) {
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = std::min(std::max(x[i], range.min), range.max);
}

}  // namespace

void clamp(const Compute& compute, ClipRange range, MatView<float> x) {
  if (range.is_open()) return;
  for_rows(compute, x.rows(), [&](std::size_t row) { clamp_row(range, x.row(row), x.row(row)); });
}

void clamped_norm(const Compute& compute, ClipRange range, MatView<const float> x, std::span<const float> weight,
                  float eps, MatView<float> out) {
  for_rows(compute, x.rows(), [&](std::size_t row) {
    clamp_row(range, x.row(row), out.row(row));
    compute.kernels.rms_norm(out.row(row).data(), weight.data(), eps, x.cols(), out.row(row).data());
  });
}

void clipped_linear(const Compute& compute, const ClippedLinearWeights& weights, MatView<const float> x,
                    MatView<float> clipped, MatView<float> out) {
  if (weights.input.is_open()) {
    compute.matmul(x, weights.weight, out);
  } else {
    for_rows(compute, x.rows(), [&](std::size_t row) { clamp_row(weights.input, x.row(row), clipped.row(row)); });
    compute.matmul(clipped, weights.weight, out);
  }
  clamp(compute, weights.output, out);
}

}  // namespace carat
