// MonoMixer: what every decoder of sound ends in: channels averaged, resampled, counted.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "media/audio.h"
#include "media/resampler.h"

namespace carat {

// Holds the rate and the number of channels against the limits. Throws Error(kBadInput).
void check_sound(std::size_t rate, std::size_t channels, std::string_view name, const SoundLimits& limits);
// Throws Error(kBadInput) for a sound of that many seconds, which are too many.
[[noreturn]] void throw_sound_too_long(double seconds, std::string_view name, const SoundLimits& limits);

class MonoMixer {
 public:
  // Throws as check_sound.
  MonoMixer(std::size_t rate, std::size_t channels, std::string_view name, const SoundLimits& limits);

  // samples: whole frames, channels interleaved. Throws Error(kBadInput) where the sound becomes longer than the limit
  // or holds a value that is no number.
  void push(std::span<const float> samples);
  // Appends to sound what is certain of the samples so far, and forgets it.
  void take(std::vector<float>& sound);
  // Mono samples at kSoundRate that were not taken. Throws Error(kBadInput) where less than one was
  // pushed in all.
  std::vector<float> finish();

 private:
  std::size_t rate_;
  std::size_t channels_;
  std::string name_;
  SoundLimits limits_;
  Resampler resampler_;
  std::size_t frames_ = 0;    // pushed so far
  bool has_sound_ = false;    // some was taken
  std::vector<float> mono_;   // of one push
  std::vector<float> sound_;  // at kSoundRate
};

}  // namespace carat
