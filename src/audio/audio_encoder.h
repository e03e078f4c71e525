// AudioEncoder: samples -> soft tokens. What a model has for ears, whichever kind they are.
#pragma once

#include <cstddef>
#include <span>

#include "nn/compute.h"
#include "nn/soft_tokens.h"
#include "nn/trace.h"

namespace carat {

// Immutable; its weights are views into the model's files.
class AudioEncoder {
 public:
  virtual ~AudioEncoder() = default;

  // samples: mono, 16 kHz, -1 to 1, at most 30 s of them. trace may be null. Throws Error(kOutOfMemory), and
  // Error(kBadInput) for a sound too short for one soft token.
  virtual SoftTokens encode(const Compute& compute, std::span<const float> samples, Trace* trace) const = 0;
};

}  // namespace carat
