#include "decoder/per_layer_input.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "nn/norm.h"
#include "tensor/quantize.h"

namespace carat {

void per_layer_inputs(const Compute& compute, const DecoderConfig& config, const DecoderWeights& weights,
                      std::size_t first_layer, std::span<const BatchRow> rows, MatView<const float> embedding,
                      MatView<float> ple, Scratch& scratch) {
  const std::size_t dim = config.ple_dim;
  const std::size_t first_col = first_layer * dim;
  const RowSource& table = *weights.ple_table;
  const float projection_scale = 1.0F / std::sqrt(static_cast<float>(config.hidden));
  const float token_scale = std::sqrt(static_cast<float>(dim));
  constexpr float kHalfRoot = std::numbers::sqrt2_v<float> / 2;

  std::vector<std::int32_t> tokens;
  for (const BatchRow& row : rows) tokens.push_back(row.soft_row == nullptr ? row.token : kPadToken);
  table.prefetch(tokens);  // the disk works while the projection does
  compute.matmul(embedding, weights.ple_projection.row_range(first_col, ple.cols()), ple);
  const std::size_t row_bytes = table.row_bytes();
  scratch.ple_rows.resize(tokens.size() * row_bytes);
  table.fetch(tokens, scratch.ple_rows);
  for_rows(compute, tokens.size(), [&](std::size_t row) {
    const std::span<float> out = ple.row(row);
    compute.kernels.scale(projection_scale, out.size(), out.data());
    for (std::size_t col = 0; col < out.size(); col += dim) {
      compute.kernels.rms_norm(out.data() + col, weights.ple_norm.data(), config.rms_eps, dim, out.data() + col);
    }
    std::vector<float> token(table.cols());
    dequantize_row(table.dtype(), std::span(scratch.ple_rows).subspan(row * row_bytes, row_bytes), token);
    compute.kernels.scale_add(token_scale, token.data() + first_col, out.size(), out.data());
    compute.kernels.scale(kHalfRoot, out.size(), out.data());
  });
}

void per_layer_block(const Compute& compute, const DecoderConfig& config, const PerLayerInputWeights& weights,
                     MatView<const float> h, MatView<const float> ple, MatView<float> out, Scratch& scratch) {
  const MatView<float> gate = scratch.ple_gate.mat(h.rows(), config.ple_dim);
  compute.matmul(h, weights.gate, gate);
  compute.matmul(gate, weights.projection, out, [&](std::size_t row, std::size_t first, std::size_t count) {
    float* g = gate.row(row).data() + first;
    compute.kernels.gelu_mul(g, ple.row(row).data() + first, count, g);
  });
  rms_norm(compute, out, weights.post_norm, config.rms_eps, out);
}

}  // namespace carat
