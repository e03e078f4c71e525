#include "vision/layer.h"

#include <algorithm>
#include <array>

#include "nn/norm.h"

namespace carat {
namespace {

// Calls body(first, count) for chunks of patches.
template <typename Body>
void for_chunks(std::size_t patches, const Body& body) {
  for (std::size_t first = 0; first < patches; first += kPatchChunk) {
    body(first, std::min(kPatchChunk, patches - first));
  }
}

// Norms, turns and stores the heads of some patches: queries into scratch.query, keys and values into the pages.
class HeadWriter {
 public:
  HeadWriter(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
             const AxialRope& rope, VisionScratch& scratch)
      : compute_(compute), config_(config), weights_(weights), rope_(rope), scratch_(scratch), kv_(scratch.pages()) {}

  // Rows of query, key, value: [count, heads * head_dim] of patches from `first` on.
  void write(std::size_t first, MatView<float> query, MatView<float> key, MatView<float> value) const {
    const KernelTable& kernels = compute_.kernels;
    const std::size_t dim = config_.head_dim;
    const MatView<float> padded = scratch_.query.mat(scratch_.spans.size(), config_.heads * scratch_.padded_head_dim);
    for_rows(compute_, query.rows(), [&](std::size_t row) {
      const std::size_t patch = first + row;
      for (std::size_t head = 0; head < config_.heads; ++head) {
        const std::span<float> q = query.row(row).subspan(head * dim, dim);
        const std::span<float> k = key.row(row).subspan(head * dim, dim);
        const std::span<float> v = value.row(row).subspan(head * dim, dim);
        kernels.rms_norm(q.data(), weights_.query_norm.data(), config_.eps, dim, q.data());
        kernels.rms_norm(k.data(), weights_.key_norm.data(), config_.eps, dim, k.data());
        kernels.rms_norm(v.data(), nullptr, config_.eps, dim, v.data());
        rope_.apply(kernels, patch, q);
        rope_.apply(kernels, patch, k);
        std::ranges::copy(q, padded.row(patch).data() + head * scratch_.padded_head_dim);
        std::ranges::copy(k, reinterpret_cast<float*>(kv_.key(patch, head)));
        std::ranges::copy(v, reinterpret_cast<float*>(kv_.value(patch, head)));
      }
    });
  }

 private:
  const Compute& compute_;
  const VisionConfig& config_;
  const VisionLayerWeights& weights_;
  const AxialRope& rope_;
  VisionScratch& scratch_;
  KvPages kv_;
};

// out = O softmax(Q K^T) V over all patches; scale 1. x, out: [patches, hidden].
// Reference: Gemma4VisionAttention.forward.
void attention(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
               const AxialRope& rope, MatView<const float> x, MatView<float> out, VisionScratch& scratch) {
  const std::size_t dim = config.head_dim;
  const std::size_t width = config.heads * dim;
  const HeadWriter writer(compute, config, weights, rope, scratch);
  for_chunks(x.rows(), [&](std::size_t first, std::size_t count) {
    const MatView<const float> in = x.row_range(first, count);
    const MatView<float> clipped = scratch.clipped.mat(count, config.hidden);
    const MatView<float> query = scratch.head_rows.mat(count, width);
    const MatView<float> key = scratch.key.mat(count, width);
    const MatView<float> value = scratch.value.mat(count, width);
    clipped_linear(compute, weights.query, in, clipped, query);
    clipped_linear(compute, weights.key, in, clipped, key);
    clipped_linear(compute, weights.value, in, clipped, value);
    writer.write(first, query, key, value);
  });

  const std::size_t padded_dim = scratch.padded_head_dim;
  const MatView<float> heads = scratch.query.mat(x.rows(), config.heads * padded_dim);
  const AttentionSegment segment{scratch.pages(), 0, x.rows()};
  compute.attention(heads, 1.0F, scratch.spans, {&segment, 1}, heads);

  for_chunks(x.rows(), [&](std::size_t first, std::size_t count) {
    const MatView<float> joined = scratch.head_rows.mat(count, width);
    for_rows(compute, count, [&](std::size_t row) {
      for (std::size_t head = 0; head < config.heads; ++head) {
        const std::span<float> from = heads.row(first + row).subspan(head * padded_dim, dim);
        std::ranges::copy(from, joined.row(row).data() + head * dim);
      }
    });
    clipped_linear(compute, weights.output, joined, scratch.clipped.mat(count, width), out.row_range(first, count));
  });
}

// out = down(gelu_tanh(gate x) * up x). Reference: Gemma4VisionMLP.forward.
void feed_forward(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
                  MatView<const float> x, MatView<float> out, VisionScratch& scratch) {
  for_chunks(x.rows(), [&](std::size_t first, std::size_t count) {
    const MatView<const float> in = x.row_range(first, count);
    const MatView<float> gate = scratch.gate.mat(count, config.intermediate);
    const MatView<float> up = scratch.up.mat(count, config.intermediate);
    const MatView<float> clipped = scratch.clipped.mat(count, config.hidden);
    clipped_linear(compute, weights.gate, in, clipped, gate);
    clipped_linear(compute, weights.up, in, clipped, up);
    for_rows(compute, count, [&](std::size_t row) {
      float* g = gate.row(row).data();
      compute.kernels.gelu_mul(g, up.row(row).data(), config.intermediate, g);
    });
    clipped_linear(compute, weights.down, gate, gate, out.row_range(first, count));
  });
}

}  // namespace

void vision_layer(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
                  const AxialRope& rope, MatView<float> h, VisionScratch& scratch) {
  const MatView<float> normed = scratch.normed.mat(h.rows(), config.hidden);
  const MatView<float> branch = scratch.branch.mat(h.rows(), config.hidden);

  rms_norm(compute, h, weights.input_norm, config.eps, normed);
  attention(compute, config, weights, rope, normed, branch, scratch);
  rms_norm(compute, branch, weights.post_attention_norm, config.eps, branch);
  add(compute, branch, h);

  rms_norm(compute, h, weights.pre_feed_forward_norm, config.eps, normed);
  feed_forward(compute, config, weights, normed, branch, scratch);
  rms_norm(compute, branch, weights.post_feed_forward_norm, config.eps, branch);
  add(compute, branch, h);
}

}  // namespace carat
