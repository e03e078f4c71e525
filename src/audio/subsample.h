// The convolutions before the conformer: four log-mel frames become one.
#pragma once

#include "audio/config.h"
#include "audio/weights.h"
#include "base/buffer.h"
#include "base/view.h"
#include "nn/compute.h"

namespace carat {

// out = input * flatten(block_2(block_1(mel))), block = relu(layer_norm(conv(x))): kernels of 3x3, stride 2, one zero
// around; the norm runs over channels, the flattened vector is [frequency, channel]. mel: [frames, kMelBins];
// out: [soft tokens, hidden], the frames halved twice, rounding up. Reference: Gemma4AudioSubSampleConvProjection.
void subsample(const Compute& compute, const AudioConfig& config, const AudioWeights& weights, MatView<const float> mel,
               MatView<float> out);

}  // namespace carat
