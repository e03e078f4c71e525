// The attention block of a layer: projections, norms, rotation, cache write, attention, output projection.
#pragma once

#include "base/view.h"
#include "decoder/config.h"
#include "decoder/scratch.h"
#include "decoder/step.h"
#include "decoder/weights.h"
#include "nn/compute.h"

namespace carat {

// out = O attention(rope(norm(Q x)), K, V). Where the layer owns its keys and values, K = rope(norm(K x)) and
// V = norm(V x) of these rows are written to the sequences' caches first; otherwise those of layer kv_source are read.
// x, out: [rows, hidden]. Reference: Gemma4TextAttention.forward.
void attention_block(const Compute& compute, const DecoderConfig& config, const LayerConfig& layer,
                     const AttentionWeights& weights, const Step& step, MatView<const float> x, MatView<float> out,
                     Scratch& scratch);

}  // namespace carat
