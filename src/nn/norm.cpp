#include "nn/norm.h"

#include <cassert>
#include <cmath>

namespace carat {

void rms_norm(const Compute& compute, MatView<const float> x, std::span<const float> weight, float eps,
              MatView<float> out) {
  assert(weight.empty() || weight.size() == x.cols());
  for_rows(compute, x.rows(), [&](std::size_t row) {
    compute.kernels.rms_norm(x.row(row).data(), weight.data(), eps, x.cols(), out.row(row).data());
  });
}

void layer_norm(const Compute& compute, MatView<const float> x, std::span<const float> weight,
                std::span<const float> bias, float eps, MatView<float> out) {
  assert(weight.size() == x.cols() && bias.size() == x.cols());
  const auto n = static_cast<double>(x.cols());
  for_rows(compute, x.rows(), [&](std::size_t row) {
    const std::span<const float> in = x.row(row);
    const std::span<float> to = out.row(row);
    double sum = 0;
    for (const float value : in) sum += double{value};
    const double mean = sum / n;
    double squares = 0;
    for (const float value : in) squares += (double{value} - mean) * (double{value} - mean);
    const double factor = 1 / std::sqrt(squares / n + double{eps});
    for (std::size_t i = 0; i < in.size(); ++i) {
      to[i] = static_cast<float>((double{in[i]} - mean) * factor) * weight[i] + bias[i];
    }
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
