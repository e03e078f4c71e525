// One block of the conformer.
#pragma once

#include "audio/config.h"
#include "audio/weights.h"
#include "base/buffer.h"
#include "base/view.h"
#include "nn/compute.h"

namespace carat {

// Every activation buffer of a conformer block, for a number of frames.
struct ConformerScratch {
  ConformerScratch(const AudioConfig& config, std::size_t frames);

  AlignedBuffer<float> normed;   // [frames, hidden]
  AlignedBuffer<float> clipped;  // [frames, 4 * hidden]: what clipped linears read
  AlignedBuffer<float> wide;     // [frames, 4 * hidden]
  AlignedBuffer<float> branch;   // [frames, hidden]: output of the block at hand
  AlignedBuffer<float> query;    // [frames, hidden], then attention's output
  AlignedBuffer<float> key;      // [frames, hidden]
  AlignedBuffer<float> value;    // [frames, hidden]

  AlignedBuffer<float> distances;        // [kAudioWindow, hidden]: sines, then cosines, of the distances 0, 1, ...
  AlignedBuffer<float> relative_keys;    // [kAudioWindow, hidden]: this layer's keys of those distances
  AlignedBuffer<float> attention_tiles;  // of audio/attention.h, a part for each thread
};

// h: [frames, hidden], read and written. Reference: Gemma4AudioLayer.forward (transformers, modeling_gemma4.py).
void conformer_block(const Compute& compute, const AudioConfig& config, const ConformerWeights& weights,
                     MatView<float> h, ConformerScratch& scratch);

}  // namespace carat
