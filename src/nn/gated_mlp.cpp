#include "nn/gated_mlp.h"

#include <array>

namespace carat {

void gated_mlp(const Compute& compute, const GatedMlpWeights& weights, MatView<const float> x, MatView<float> gate,
               MatView<float> up, MatView<float> out) {
  const std::array products{Product{weights.gate, gate}, Product{weights.up, up}};
  compute.matmul(x, products);
  for_rows(compute, x.rows(), [&](std::size_t row) {
    float* g = gate.row(row).data();
    compute.kernels.gelu_mul(g, up.row(row).data(), gate.cols(), g);
  });
  compute.matmul(gate, weights.down, out);
}

}  // namespace carat
