#include "nn/norm.h"

#include <cassert>

namespace carat {

void rms_norm(const Compute& compute, MatView<const float> x, std::span<const float> weight, float eps,
              MatView<float> out) {
  assert(weight.empty() || weight.size() == x.cols());
  for_rows(compute, x.rows(), [&](std::size_t row) {
    compute.kernels.rms_norm(x.row(row).data(), weight.data(), eps, x.cols(), out.row(row).data());
  });
}

void add(const Compute& compute, MatView<const float> x, MatView<float> y) {
  for_rows(compute, x.rows(),
           [&](std::size_t row) { compute.kernels.add(x.row(row).data(), x.cols(), y.row(row).data()); });
}

void scale(const Compute& compute, float factor, MatView<float> x) {
  if (factor == 1.0F) return;
  for_rows(compute, x.rows(), [&](std::size_t row) { compute.kernels.scale(factor, x.cols(), x.row(row).data()); });
}

}  // namespace carat
