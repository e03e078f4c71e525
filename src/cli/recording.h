// Recording: the sound that `carat transcribe` writes down, whole from a file or bit by bit from a pipe.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "media/sound_stream.h"

namespace carat {

class Recording {
 public:
  // path: a sound file, or "-" for standard input. raw: what its samples are where it has no header. Throws
  // Error(kBadInput) for what is no sound.
  Recording(const std::string& path, const std::optional<PcmFormat>& raw);

  // Appends what has come in since, having waited for some; false at the end. Throws as decode_sound.
  bool read_more(std::vector<float>& sound);
  // Samples in all, where that is known already.
  std::optional<std::size_t> length() const;

 private:
  void open_pipe(const std::optional<PcmFormat>& raw);

  std::optional<SoundStream> stream_;  // from a pipe; otherwise
  std::vector<float> whole_;           // all of it
  std::vector<std::byte> begun_;       // read from the pipe already
};

}  // namespace carat
