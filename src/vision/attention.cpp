#include "vision/attention.h"

#include <algorithm>

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

// heads: [patches, heads * head_dim], read and written over. In the order of columns, by way of pages.
void attend_in_order(const Compute& compute, const VisionConfig& config, MatView<float> query, MatView<float> key,
                     MatView<float> value, VisionScratch& scratch) {
  const std::size_t dim = config.head_dim;
  const std::size_t padded_dim = scratch.padded_head_dim;
  const MatView<float> padded = scratch.padded_query.mat(query.rows(), config.heads * padded_dim);
  const KvPages pages = scratch.pages();
  for_rows(compute, query.rows(), [&](std::size_t row) {
    for (std::size_t head = 0; head < config.heads; ++head) {
      const auto part = [&](MatView<float> of) { return of.row(row).subspan(head * dim, dim); };
      std::ranges::copy(part(query), padded.row(row).data() + head * padded_dim);
      std::ranges::copy(part(key), reinterpret_cast<float*>(pages.key(row, head)));
      std::ranges::copy(part(value), reinterpret_cast<float*>(pages.value(row, head)));
    }
  });
  const AttentionSegment segment{pages, 0, query.rows()};
  compute.attention(padded, 1.0F, scratch.spans, {&segment, 1}, padded);
  for_rows(compute, query.rows(), [&](std::size_t row) {
    for (std::size_t head = 0; head < config.heads; ++head) {
      std::ranges::copy(padded.row(row).subspan(head * padded_dim, dim), query.row(row).data() + head * dim);
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
  if (scratch.by_pairs) {
    (*scratch.by_pairs)(query, key, value, config.heads, query);
  } else {
    attend_in_order(compute, config, query, key, value, scratch);
  }
  for_patch_chunks(x.rows(), [&](std::size_t first, std::size_t count) {
    clipped_linear(compute, weights.output, query.row_range(first, count), scratch.clipped.mat(count, width),
                   out.row_range(first, count));
  });
}

}  // namespace carat
