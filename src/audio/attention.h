// Attention of the conformer: over the last few frames, with keys for distances.
#pragma once

#include "audio/config.h"
#include "audio/conformer.h"
#include "audio/weights.h"
#include "base/view.h"
#include "nn/compute.h"

namespace carat {

// out = output concat over heads of sum over d < min(kAudioWindow, t + 1) of p[d] V[t - d], for frame t, where
//   p = softmax over d of cap * tanh((q . k[t - d] + q . r[d]) / cap),
//   q = query_scale * Q x[t], k = ln(1 + e) / ln 2 * K x, r[d] = relative_key (sines and cosines of d).
// x, out: [frames, hidden]; x may be clipped. Reference: Gemma4AudioAttention.forward, which works in chunks of twelve
// frames; what a frame sees is the same.
void audio_attention(const Compute& compute, const AudioConfig& config, const AudioAttentionWeights& weights,
                     MatView<float> x, ConformerScratch& scratch, MatView<float> out);

}  // namespace carat
