// Sound files to what a model hears: one channel of samples at 16 kHz.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace carat {

// Rate of everything here. Hz.
inline constexpr std::size_t kSoundRate = 16'000;

// What a sound may be; held against its header before anything is decoded, and against what comes out of it after.
struct SoundLimits {
  std::size_t max_bytes = std::size_t{512} << 20;  // of the file
  std::size_t max_seconds = 3600;                  // an hour at 16 kHz takes 220 MiB, and about twice that at most
  std::size_t max_channels = 8;
  std::size_t min_rate = 4'000;  // Hz
  std::size_t max_rate = 192'000;
};

// Samples without a header, as they come from a microphone: little-endian, channels interleaved.
enum class PcmType { kU8, kS16, kS24, kS32, kF32 };
struct PcmFormat {
  PcmType type = PcmType::kS16;
  std::size_t rate = kSoundRate;  // Hz
  std::size_t channels = 1;
};

// A WAV (8 to 32 bit, float), FLAC, OGG (Vorbis, Opus), MP3 or AIFF file as mono samples, full scale -1 .. 1: channels
// averaged, then brought to 16 kHz by soxr's HQ recipe, as the reference does (transformers, audio_utils.load_audio).
// A file that breaks off gives what can be decoded of it. name begins messages. Throws Error(kBadInput) for anything
// that is no such file, or is outside the limits, or holds no sound.
std::vector<float> decode_sound(std::span<const std::byte> file, std::string_view name, const SoundLimits& limits = {});

// The same for samples without a header; bytes behind the last whole frame are left out.
std::vector<float> decode_pcm(std::span<const std::byte> bytes, const PcmFormat& format, std::string_view name,
                              const SoundLimits& limits = {});

}  // namespace carat
