// Log-mel frames of a sound. Reference: Gemma4AudioFeatureExtractor (transformers, feature_extraction_gemma4.py).
#pragma once

#include <cstddef>
#include <span>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "base/view.h"

namespace carat {

struct LogMel {
  AlignedBuffer<float> values;  // [frames, kMelBins]; the frames that are not valid are zero
  std::size_t frames = 0;
  std::size_t valid = 0;  // the first frames, which lie wholly in the sound

  MatView<const float> all() const;
  MatView<const float> heard() const;  // the valid ones
};

// Frames that lie wholly in a sound of that many samples.
std::size_t valid_mel_frames(std::size_t samples);

// samples: 16 kHz, one channel, at most kMaxSoundSamples. Frames of 320 samples every 160, the first of them beginning
// 160 samples before the sound; Hann window, magnitudes of a 512-point Fourier transform, 128 triangles on the HTK mel
// scale from 0 to 8000 Hz, ln(sum + 0.001). In double, rounded once.
LogMel log_mel(ThreadPool& pool, std::span<const float> samples);

}  // namespace carat
