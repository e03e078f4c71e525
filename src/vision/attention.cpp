#include "vision/attention.h"

#include <variant>

namespace carat {
namespace {

// Norms and turns the heads of some patches, from `first` on. Rows of query, key, value: [count, heads * head_dim].
void norm_and_turn(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
                   const AxialRope& rope, std::size_t first, MatView<float> query, MatView<float> key,
                   MatView<float> value) {
  const KernelTable& kernels = compute.kernels;
  const std::size_t dim = config.head_dim;
  for_rows(compute, query.rows(), [&](std::size_t row) {
    for (std::size_t head = 0; head < config.heads; ++head) {
      const std::span<float> q = query.row(row).subspan(head * dim, dim);
      const std::span<float> k = key.row(row).subspan(head * dim, dim);
      float* v = value.row(row).data() + head * dim;
      kernels.rms_norm(q.data(), weights.query_norm.data(), config.eps, dim, q.data());
      kernels.rms_norm(k.data(), weights.key_norm.data(), config.eps, dim, k.data());
      kernels.rms_norm(v, nullptr, config.eps, dim, v);
      rope.apply(kernels, first + row, q);
      rope.apply(kernels, first + row, k);
    }
  });
}

}  // namespace

void vision_attention(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
                      const AxialRope& rope, MatView<const float> x, MatView<float> out, VisionScratch& scratch) {
  const std::size_t width = config.heads * config.head_dim;
  const MatView<float> query = scratch.query.mat(x.rows(), width);
  const MatView<float> key = scratch.key.mat(x.rows(), width);
  const MatView<float> value = scratch.value.mat(x.rows(), width);
  for_patch_chunks(x.rows(), [&](std::size_t first, std::size_t count) {
    const MatView<const float> in = x.row_range(first, count);
    const MatView<float> clipped = scratch.clipped.mat(count, config.hidden);
    clipped_linear(compute, weights.query, in, clipped, query.row_range(first, count));
    clipped_linear(compute, weights.key, in, clipped, key.row_range(first, count));
    clipped_linear(compute, weights.value, in, clipped, value.row_range(first, count));
    norm_and_turn(compute, config, weights, rope, first, query.row_range(first, count), key.row_range(first, count),
                  value.row_range(first, count));
  });
  std::visit([&](auto& attention) { attention(query, key, value, config.heads, query); }, scratch.attention);
  for_patch_chunks(x.rows(), [&](std::size_t first, std::size_t count) {
    clipped_linear(compute, weights.output, query.row_range(first, count), scratch.clipped.mat(count, width),
                   out.row_range(first, count));
  });
}

}  // namespace carat
