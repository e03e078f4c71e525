#include "decoder/layer.h"

#include "base/error.h"
#include "decoder/attention_block.h"
#include "decoder/moe.h"
#include "decoder/per_layer_input.h"
#include "nn/norm.h"

namespace carat {

void layer_forward(const Compute& compute, const DecoderConfig& config, const LayerConfig& layer,
                   const LayerWeights& weights, const Step& step, MatView<const float> ple, MatView<float> h,
                   Scratch& scratch, Trace* trace) {
  const float eps = config.rms_eps;
  const MatView<float> normed = scratch.normed.mat(h.rows(), config.hidden);
  const MatView<float> branch = scratch.branch.mat(h.rows(), config.hidden);

  rms_norm(compute, h, weights.input_norm, eps, normed);
  attention_block(compute, config, layer, weights.attention, step, normed, branch, scratch);
  rms_norm(compute, branch, weights.post_attention_norm, eps, branch);
  add(compute, branch, h);

  rms_norm(compute, h, weights.pre_feed_forward_norm, eps, normed);
  {
    const Timed timed(compute.profile, Operation::kMlp, layer.kind());
    gated_mlp(compute, weights.mlp, normed, scratch.gate.mat(h.rows(), layer.intermediate),
              scratch.up.mat(h.rows(), layer.intermediate), branch);
  }
  if (config.moe.experts != 0) {  // 26B-A4B: the dense MLP is the shared expert
    const Timed timed(compute.profile, Operation::kExperts, layer.kind());
    const MatView<float> routed = scratch.routed.mat(h.rows(), config.hidden);
    rms_norm(compute, branch, weights.moe.post_shared_norm, eps, branch);
    moe(compute, config, weights.moe, h, routed, scratch, trace, str("layer.", layer.index));
    rms_norm(compute, routed, weights.moe.post_routed_norm, eps, routed);
    add(compute, routed, branch);
  }
  rms_norm(compute, branch, weights.post_feed_forward_norm, eps, branch);
  add(compute, branch, h);

  if (!ple.empty()) {  // E2B, E4B
    const Timed timed(compute.profile, Operation::kPerLayerBlock, layer.kind());
    per_layer_block(compute, config, weights.per_layer, h, ple, branch, scratch);
    add(compute, branch, h);
  }
  scale(compute, weights.scalar, h);
}

}  // namespace carat
