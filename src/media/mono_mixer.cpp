#include "media/mono_mixer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace carat {

void check_sound(std::size_t rate, std::size_t channels, std::string_view name, const SoundLimits& limits) {
  if (rate < limits.min_rate || rate > limits.max_rate) {
    throw Error(ErrorKind::kBadInput, str(name, ": has ", rate, " samples a second, expected ", limits.min_rate, " to ",
                                          limits.max_rate, "."));
  }
  if (channels == 0 || channels > limits.max_channels) {
    throw Error(ErrorKind::kBadInput,
                str(name, ": has ", channels, " channels, expected 1 to ", limits.max_channels, "."));
  }
}

void throw_sound_too_long(double seconds, std::string_view name, const SoundLimits& limits) {
  const auto minutes = static_cast<long long>(std::min(seconds, 1e15) / 60);
  throw Error(ErrorKind::kBadInput, str(name, ": lasts ", minutes, " minutes, the limit is ", limits.max_seconds / 60,
                                        ". Cut it into parts."));
}

MonoMixer::MonoMixer(std::size_t rate, std::size_t channels, std::string_view name, const SoundLimits& limits)
    : rate_((check_sound(rate, channels, name, limits), rate)),
      channels_(channels),
      name_(name),
      limits_(limits),
      resampler_(rate, kSoundRate) {}

void MonoMixer::push(std::span<const float> samples) {
  const std::size_t frames = samples.size() / channels_;
  frames_ += frames;
  if (frames_ > limits_.max_seconds * rate_) {
    throw_sound_too_long(static_cast<double>(frames_) / static_cast<double>(rate_), name_, limits_);
  }
  mono_.resize(frames);
  for (std::size_t i = 0; i < frames; ++i) {
    double sum = 0;
    for (std::size_t c = 0; c < channels_; ++c) sum += double{samples[i * channels_ + c]};
    mono_[i] = static_cast<float>(sum / static_cast<double>(channels_));
    if (!std::isfinite(mono_[i])) {
      throw Error(ErrorKind::kBadInput,
                  str(name_, ": the sample at ", static_cast<double>(frames_ - frames + i) / static_cast<double>(rate_),
                      " s is no finite number. The file is damaged."));
    }
  }
  resampler_.push(mono_, sound_);
}

void MonoMixer::take(std::vector<float>& sound) {
  has_sound_ = has_sound_ || !sound_.empty();
  sound.insert(sound.end(), sound_.begin(), sound_.end());
  sound_.clear();
}

std::vector<float> MonoMixer::finish() {
  if (frames_ == 0) {
    throw Error(ErrorKind::kBadInput, name_ + ": holds no sound; there are no samples behind its header.");
  }
  resampler_.finish(sound_);
  if (!has_sound_ && sound_.empty()) {
    throw Error(ErrorKind::kBadInput, str(name_, ": holds no sound; its ", frames_, " samples at ", rate_,
                                          " a second are less than one at ", kSoundRate, "."));
  }
  return std::move(sound_);
}

}  // namespace carat
