// WaveformEncoder: the ears of the unified 12B model, which has no tower.
#pragma once

#include <cstddef>

#include "audio/audio_encoder.h"
#include "kernels/weight_matrix.h"

namespace carat {

// The samples as they are, a soft token for every frame of them; the last one is filled up with zeros.
class WaveformEncoder final : public AudioEncoder {
 public:
  // projection: [text hidden, samples of a frame], a view into the model's files.
  WaveformEncoder(const WeightMatrix& projection, float eps) : projection_(projection), eps_(eps) {}

  // trace gets "audio.frames" and "audio.soft_tokens". Reference: Gemma4UnifiedModel.get_audio_features.
  SoftTokens encode(const Compute& compute, std::span<const float> samples, Trace* trace) const override;

 private:
  WeightMatrix projection_;
  float eps_;
};

}  // namespace carat
