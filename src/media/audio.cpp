#include "media/audio.h"

#include <sndfile.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "media/memory_file.h"
#include "media/mono_mixer.h"
#include "media/mp3.h"
#include "media/sound_stream.h"
#include "media/vorbis.h"

namespace carat {
namespace {

constexpr std::size_t kBlockFrames = 4096;  // decoded at once

bool begins_with(std::span<const std::byte> file, std::size_t at, std::string_view magic) {
  return file.size() >= at + magic.size() && std::memcmp(file.data() + at, magic.data(), magic.size()) == 0;
}

// Callbacks over a MemoryFile.
SF_VIRTUAL_IO reading_io() {
  return {[](void* self) -> sf_count_t { return static_cast<MemoryFile*>(self)->size(); },
          [](sf_count_t offset, int whence, void* self) -> sf_count_t {
            return static_cast<MemoryFile*>(self)->seek(offset, whence);
          },
          [](void* out, sf_count_t count, void* self) -> sf_count_t {
            return static_cast<MemoryFile*>(self)->read(out, count);
          },
          [](const void*, sf_count_t, void*) -> sf_count_t { return 0; },
          [](void* self) -> sf_count_t { return static_cast<MemoryFile*>(self)->tell(); }};
}

// libsndfile knows many more formats, seldom used and seldom tested; these are what people have.
bool is_known_format(std::span<const std::byte> file) {
  const bool is_wav = (begins_with(file, 0, "RIFF") || begins_with(file, 0, "RIFX") || begins_with(file, 0, "RF64")) &&
                      begins_with(file, 8, "WAVE");
  const bool is_aiff = begins_with(file, 0, "FORM") && (begins_with(file, 8, "AIFF") || begins_with(file, 8, "AIFC"));
  return is_wav || is_aiff || begins_with(file, 0, "fLaC") || begins_with(file, 0, "OggS");
}

// The chunks of a WAV or AIFF file up to the first that claims more bytes than are left, but for the sound itself,
// which may break off. libsndfile 1.2.0 reads a list of notes of 4 GB to its end, for minutes, though the file has 72
// bytes.
std::span<const std::byte> without_overlong_chunks(std::span<const std::byte> file) {
  constexpr std::size_t kFormBytes = 12;
  constexpr std::size_t kChunkBytes = 8;
  const bool is_big_endian = begins_with(file, 0, "RIFX") || begins_with(file, 0, "FORM");
  if (!is_big_endian && !begins_with(file, 0, "RIFF") && !begins_with(file, 0, "RF64")) return file;
  std::size_t at = kFormBytes;
  while (at + kChunkBytes <= file.size()) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto byte = std::to_integer<std::size_t>(file[at + 4 + i]);
      bytes |= byte << (8 * (is_big_endian ? 3 - i : i));
    }
    const std::size_t left = file.size() - at - kChunkBytes;
    if (bytes > left) {
      const bool is_sound = begins_with(file, at, "data") || begins_with(file, at, "SSND");
      return is_sound ? file : file.first(at);
    }
    at += kChunkBytes + bytes + bytes % 2;
  }
  return file;
}

void check_bytes(std::size_t bytes, std::string_view name, const SoundLimits& limits) {
  if (bytes <= limits.max_bytes) return;
  throw Error(ErrorKind::kBadInput, str(name, ": has ", bytes >> 20, " MiB, the limit for a sound is ",
                                        limits.max_bytes >> 20, " MiB. Cut it into parts."));
}

}  // namespace

std::vector<float> decode_sound(std::span<const std::byte> file, std::string_view name, const SoundLimits& limits) {
  check_bytes(file.size(), name, limits);
  if (is_mp3(file)) return decode_mp3(file, name, limits);
  if (is_ogg_vorbis(file)) return decode_vorbis(file, name, limits);
  if (!is_known_format(file)) {
    throw Error(ErrorKind::kBadInput, str(name,
                                          ": is no sound that carat reads (WAV, FLAC, OGG, MP3, AIFF). Convert it, "
                                          "for instance with `ffmpeg -i FILE out.flac`."));
  }
  MemoryFile memory(without_overlong_chunks(file));
  SF_VIRTUAL_IO io = reading_io();
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, int (*)(SNDFILE*)> sound(sf_open_virtual(&io, SFM_READ, &info, &memory), &sf_close);
  if (sound == nullptr) {
    throw Error(ErrorKind::kBadInput,
                str(name, ": can't be decoded (", printable(sf_strerror(nullptr)), "). The file is damaged."));
  }
  const auto rate = static_cast<std::size_t>(std::max(info.samplerate, 0));
  const auto channels = static_cast<std::size_t>(std::max(info.channels, 0));
  check_sound(rate, channels, name, limits);
  // A header that promises too much is refused before anything is decoded.
  if (info.frames != SF_COUNT_MAX && info.frames > static_cast<sf_count_t>(limits.max_seconds * rate)) {
    throw_sound_too_long(static_cast<double>(info.frames) / static_cast<double>(rate), name, limits);
  }
  MonoMixer mixer(rate, channels, name, limits);
  std::vector<float> block(kBlockFrames * channels);
  while (true) {
    const sf_count_t frames = sf_readf_float(sound.get(), block.data(), kBlockFrames);
    if (frames <= 0) break;
    mixer.push(std::span(block).first(static_cast<std::size_t>(frames) * channels));
  }
  return mixer.finish();
}

std::vector<float> decode_pcm(std::span<const std::byte> bytes, const PcmFormat& format, std::string_view name,
                              const SoundLimits& limits) {
  check_bytes(bytes.size(), name, limits);
  SoundStream stream(format, name, limits);
  std::vector<float> sound;
  stream.push(bytes, sound);
  stream.finish(sound);
  return sound;
}

}  // namespace carat
