#include "nn/gated_mlp.h"

#include <array>

namespace carat {

void gated_mlp(const Compute& compute, const GatedMlpWeights& weights, MatView<const float> x, MatView<float> gate,
               MatView<float> up, MatView<float> out) {
  const std::array products{Product{weights.gate, gate}, Product{weights.up, up}};
  compute.matmul(x, products);
  compute.matmul(gate, weights.down, out, [&](std::size_t row, std::size_t first, std::size_t count) {
    float* g = gate.row(row).data() + first;
    compute.kernels.gelu_mul(g, up.row(row).data() + first, count, g);
  });
}

}  // namespace carat
