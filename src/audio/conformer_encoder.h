// ConformerEncoder: the ears of E2B and E4B.
#pragma once

#include <utility>

#include "audio/audio_encoder.h"
#include "audio/config.h"
#include "audio/weights.h"

namespace carat {

// Log-mel frames, convolutions, conformer blocks, projection. One soft token for 40 ms.
class ConformerEncoder final : public AudioEncoder {
 public:
  // The weights are views: the model's files must outlive this.
  ConformerEncoder(const AudioConfig& config, AudioWeights weights) : config_(config), weights_(std::move(weights)) {}

  // What lies beyond kMaxSoundSamples is not heard, as in the reference. trace gets "audio.mel", "audio.subsampled",
  // "audio.layer.0" and so on, and "audio.soft_tokens". Reference: Gemma4Model.get_audio_features.
  SoftTokens encode(const Compute& compute, std::span<const float> samples, Trace* trace) const override;

  const AudioConfig& config() const { return config_; }

 private:
  AudioConfig config_;
  AudioWeights weights_;
};

// Soft tokens of a sound: the log-mel frames that lie wholly in it, halved twice, rounding up. Reference:
// Gemma4Processor.replace_audio_token.
std::size_t conformer_soft_tokens(std::size_t samples);

}  // namespace carat
