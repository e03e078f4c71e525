#include "audio/waveform_encoder.h"

#include <algorithm>

#include "audio/config.h"
#include "audio/project.h"
#include "base/buffer.h"

namespace carat {

SoftTokens WaveformEncoder::encode(const Compute& compute, std::span<const float> samples, Trace* trace) const {
  const std::size_t width = projection_.cols;
  samples = samples.first(std::min(samples.size(), kMaxSoundSamples));
  const std::size_t rows = (samples.size() + width - 1) / width;
  require_sound(rows, samples.size());
  const AlignedBuffer<float> frames(rows * width, "audio frames");
  std::copy(samples.begin(), samples.end(), frames.data());
  const MatView<float> x = frames.mat(rows, width);
  if (trace != nullptr) trace->tensor("audio.frames", x);
  SoftTokens soft = project_sound(compute, x, eps_, projection_);
  if (trace != nullptr) trace->tensor("audio.soft_tokens", soft.rows());
  return soft;
}

}  // namespace carat
