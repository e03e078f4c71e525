// AudioConfig: the conformer of E2B and E4B as plain numbers.
#pragma once

#include <cstddef>

namespace carat {

// What the models were trained with: no file says otherwise (Gemma4AudioFeatureExtractor).
inline constexpr std::size_t kSampleRate = 16'000;            // Hz, one channel
inline constexpr std::size_t kMaxSoundSamples = 480'000;      // 30 s: what a model hears at once
inline constexpr std::size_t kMelBins = 128;                  // of a log-mel frame
inline constexpr std::size_t kSubsampleLayers = 2;            // each halves time and frequency
inline constexpr std::size_t kSubsampledBins = kMelBins / 4;  // rows of frequency behind the convolutions
inline constexpr std::size_t kAudioWindow = 12;               // frames attention sees, its own among them

struct AudioConfig {
  std::size_t hidden = 0;
  std::size_t heads = 0;
  std::size_t layers = 0;
  std::size_t channels[kSubsampleLayers] = {};  // of the convolutions
  std::size_t conv_width = 5;                   // frames the light convolution sees, the newest last
  std::size_t output = 0;                       // width before the projection into the text model
  std::size_t text_hidden = 0;

  float logit_cap = 50;          // of attention
  float clip = 1e10F;            // activations stay within +-clip
  float residual_weight = 0.5F;  // of the feed-forward blocks
  float eps = 1e-6F;

  std::size_t head_dim() const { return hidden / heads; }
  std::size_t intermediate() const { return 4 * hidden; }
};

}  // namespace carat
