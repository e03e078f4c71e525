// Any bytes as a sound file: samples within the limits, or an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "media/audio.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const carat::SoundLimits limits{.max_bytes = 1 << 20, .max_seconds = 10};
  try {
    const auto sound = carat::decode_sound(std::as_bytes(std::span(data, size)), "fuzz", limits);
    if (sound.empty() || sound.size() > limits.max_seconds * carat::kSoundRate + 1) std::abort();
  } catch (const carat::Error&) {
  }
  return 0;
}
