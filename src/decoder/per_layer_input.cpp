#include "decoder/per_layer_input.h"

#include <cmath>
#include <numbers>

#include "nn/norm.h"
#include "tensor/quantize.h"

namespace carat {

void per_layer_inputs(const Compute& compute, const DecoderConfig& config, const DecoderWeights& weights,
                      std::span<const BatchRow> rows, MatView<const float> h, MatView<float> ple) {
  const std::size_t dim = config.ple_dim;
  const WeightMatrix& table = weights.ple_table;
  const float projection_scale = 1.0F / std::sqrt(static_cast<float>(config.hidden));
  const float token_scale = std::sqrt(static_cast<float>(dim));
  constexpr float kHalfRoot = std::numbers::sqrt2_v<float> / 2;

  compute.matmul(h, weights.ple_projection, ple);
  for_rows(compute, rows.size(), [&](std::size_t row) {
    std::vector<float> token(table.cols);
    dequantize_row(table.dtype, {table.row(static_cast<std::size_t>(rows[row].token)), table.row_bytes}, token);
    const std::span<float> out = ple.row(row);
    compute.kernels.scale(projection_scale, out.size(), out.data());
    for (std::size_t first = 0; first < out.size(); first += dim) {
      compute.kernels.rms_norm(out.data() + first, weights.ple_norm.data(), config.rms_eps, dim, out.data() + first);
    }
    compute.kernels.scale_add(token_scale, token.data(), out.size(), out.data());
    compute.kernels.scale(kHalfRoot, out.size(), out.data());
  });
}

void per_layer_block(const Compute& compute, const DecoderConfig& config, const PerLayerInputWeights& weights,
                     MatView<const float> h, MatView<const float> ple, MatView<float> out, Scratch& scratch) {
  const MatView<float> gate = scratch.ple_gate.mat(h.rows(), config.ple_dim);
  compute.matmul(h, weights.gate, gate);
  for_rows(compute, h.rows(), [&](std::size_t row) {
    float* g = gate.row(row).data();
    compute.kernels.gelu_mul(g, ple.row(row).data(), gate.cols(), g);
  });
  compute.matmul(gate, weights.projection, out);
  rms_norm(compute, out, weights.post_norm, config.rms_eps, out);
}

}  // namespace carat
