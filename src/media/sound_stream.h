// SoundStream: bare samples as they come in, from a microphone for instance, to mono at 16 kHz; and the WAV header that
// may come before them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "media/audio.h"
#include "media/mono_mixer.h"

namespace carat {

class SoundStream {
 public:
  // max_bytes: what is taken; the rest of what comes in is left out. Throws Error(kBadInput) for a format outside the
  // limits.
  SoundStream(const PcmFormat& format, std::string_view name, const SoundLimits& limits,
              std::optional<std::size_t> max_bytes = {});

  // Appends to sound what is certain of the samples so far. Throws Error(kBadInput) where the sound becomes longer than
  // the limit or holds a value that is no number.
  void push(std::span<const std::byte> bytes, std::vector<float>& sound);
  // Appends the rest; bytes behind the last whole frame are left out. Throws Error(kBadInput) where nothing came in.
  void finish(std::vector<float>& sound);

 private:
  PcmType type_;
  std::size_t frame_bytes_;
  std::optional<std::size_t> left_;  // bytes still to be taken, where there is an end to them
  MonoMixer mixer_;
  std::vector<std::byte> rest_;  // of a frame that is not whole yet
  std::vector<float> block_;
};

// What stands before the samples of a WAV file.
struct WavHeader {
  PcmFormat format;
  std::size_t bytes = 0;                  // of the header
  std::optional<std::size_t> data_bytes;  // none where the writer didn't know, as one that writes to a pipe
};
enum class WavKind { kTooShort, kPcm, kOther };

// Reads the header at the beginning of a WAV file: kTooShort where more of it is needed to tell, kOther for what is no
// WAV file or holds no plain samples of 8 to 32 bits.
WavKind read_wav_header(std::span<const std::byte> beginning, WavHeader& header);

}  // namespace carat
