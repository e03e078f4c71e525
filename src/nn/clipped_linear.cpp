#include "nn/clipped_linear.h"

namespace carat {
namespace {

// out = min(max(x, range.min), range.max). x, out: [rows, n]; out may be x.
void clamp_rows(const Compute& compute, ClipRange range, MatView<const float> x, MatView<float> out) {
  for_rows(compute, x.rows(), [&](std::size_t row) {
    compute.kernels.clamp(range.min, range.max, x.row(row).data(), x.cols(), out.row(row).data());
  });
}

}  // namespace

void clamp(const Compute& compute, ClipRange range, MatView<float> x) {
  if (range.is_open()) return;
  clamp_rows(compute, range, x, x);
}

void clamped_norm(const Compute& compute, ClipRange range, MatView<const float> x, std::span<const float> weight,
                  float eps, MatView<float> out) {
  for_rows(compute, x.rows(), [&](std::size_t row) {
    float* to = out.row(row).data();
    compute.kernels.clamp(range.min, range.max, x.row(row).data(), x.cols(), to);
    compute.kernels.rms_norm(to, weight.data(), eps, x.cols(), to);
  });
}

void clipped_linear(const Compute& compute, const ClippedLinearWeights& weights, MatView<const float> x,
                    MatView<float> clipped, MatView<float> out) {
  if (weights.input.is_open()) {
    compute.matmul(x, weights.weight, out);
  } else {
    clamp_rows(compute, weights.input, x, clipped);
    compute.matmul(clipped, weights.weight, out);
  }
  clamp(compute, weights.output, out);
}

}  // namespace carat
