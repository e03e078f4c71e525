#include "vision/vision_tower.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "nn/norm.h"
#include "tensor/quantize.h"
#include "vision/layer.h"

namespace carat {
namespace {

// Rows [first, first + count) of a table, decoded: [count, cols].
AlignedBuffer<float> decode_rows(const WeightMatrix& table, std::size_t first, std::size_t count) {
  AlignedBuffer<float> rows(count * table.cols, "position embeddings");
  for (std::size_t i = 0; i < count; ++i) {
    dequantize_row(table.dtype, {table.row(first + i), table.row_bytes}, rows.mat(count, table.cols).row(i));
  }
  return rows;
}

}  // namespace

SoftTokens VisionTower::encode(const Compute& compute, const RgbImage& image, MediaKind kind, Trace* trace) const {
  const PatchGrid grid = patch_grid(image.size, config_.patch_pixels);
  if (grid.columns > config_.positions || grid.rows > config_.positions) {
    throw Error(ErrorKind::kBadInput,
                str("the picture is ", grid.columns, " x ", grid.rows, " patches, the model knows positions up to ",
                    config_.positions, " a side. Take a smaller image budget."));
  }
  const auto traced = [&](std::string_view name, MatView<const float> values) {
    if (trace != nullptr) trace->tensor(str("vision.", name), values);
  };

  const AlignedBuffer<float> hidden(grid.count() * config_.hidden, "vision");
  const MatView<float> h = hidden.mat(grid.count(), config_.hidden);
  embed(compute, image, grid, h);
  traced("embedding", h);
  {
    const AxialRope rope(config_.head_dim, config_.rope_theta, grid);
    VisionScratch scratch(compute, config_, grid.count());
    for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
      vision_layer(compute, config_, weights_.layers[i], rope, h, scratch);
      traced(str("layer.", i), h);
    }
  }

  SoftTokens soft(kind, grid.count() / (config_.pool * config_.pool), weights_.projection.rows);
  const AlignedBuffer<float> pooled_buffer(soft.count() * config_.hidden, "vision");
  const MatView<float> pooled = pooled_buffer.mat(soft.count(), config_.hidden);
  pool(compute, grid, h, pooled);
  traced("pooled", pooled);
  if (!weights_.standard_bias.empty()) {
    for_rows(compute, pooled.rows(), [&](std::size_t row) {
      const std::span<float> x = pooled.row(row);
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] = (x[i] - weights_.standard_bias[i]) * weights_.standard_scale[i];
      }
    });
  }
  traced("output", pooled);
  rms_norm(compute, pooled, {}, config_.eps, pooled);
  compute.matmul(pooled, weights_.projection, soft.rows());
  traced("soft_tokens", soft.rows());
  return soft;
}

void VisionTower::embed(const Compute& compute, const RgbImage& image, PatchGrid grid, MatView<float> h) const {
  // Gemma4VisionPatchEmbedder: 2 * (level / 255 - 1/2).
  const AlignedBuffer<float> patches =
      cut_patches(compute, image, config_.patch_pixels, config_.patch_order, {.scale = 2, .shift = -1});
  compute.matmul(patches.mat(grid.count(), weights_.patches.cols), weights_.patches, h);
  const AlignedBuffer<float> column_rows = decode_rows(weights_.positions, 0, grid.columns);
  const AlignedBuffer<float> row_rows = decode_rows(weights_.positions, config_.positions, grid.rows);
  for_rows(compute, grid.count(), [&](std::size_t patch) {
    const float* column = column_rows.data() + patch % grid.columns * config_.hidden;
    const float* row = row_rows.data() + patch / grid.columns * config_.hidden;
    compute.kernels.add(column, config_.hidden, h.row(patch).data());
    compute.kernels.add(row, config_.hidden, h.row(patch).data());
  });
}

void VisionTower::pool(const Compute& compute, PatchGrid grid, MatView<const float> h, MatView<float> out) const {
  const std::size_t side = config_.pool;
  const std::size_t across = grid.columns / side;
  const float share = 1.0F / static_cast<float>(side * side);
  const float factor = std::sqrt(static_cast<float>(config_.hidden));
  for_rows(compute, out.rows(), [&](std::size_t token) {
    const std::span<float> sum = out.row(token);
    std::ranges::fill(sum, 0.0F);
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        const std::size_t patch = (token / across * side + y) * grid.columns + token % across * side + x;
        compute.kernels.scale_add(share, h.row(patch).data(), sum.size(), sum.data());
      }
    }
    compute.kernels.scale(factor, sum.size(), sum.data());
  });
}

}  // namespace carat
