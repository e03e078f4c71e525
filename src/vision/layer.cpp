#include "vision/layer.h"

#include "nn/norm.h"
#include "vision/attention.h"

namespace carat {
namespace {

// out = down(gelu_tanh(gate x) * up x). Reference: Gemma4VisionMLP.forward.
void feed_forward(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
                  MatView<const float> x, MatView<float> out, VisionScratch& scratch) {
  for_patch_chunks(x.rows(), [&](std::size_t first, std::size_t count) {
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
  vision_attention(compute, config, weights, rope, normed, branch, scratch);
  rms_norm(compute, branch, weights.post_attention_norm, config.eps, branch);
  add(compute, branch, h);

  rms_norm(compute, h, weights.pre_feed_forward_norm, config.eps, normed);
  feed_forward(compute, config, weights, normed, branch, scratch);
  rms_norm(compute, branch, weights.post_feed_forward_norm, config.eps, branch);
  add(compute, branch, h);
}

}  // namespace carat
