#include "media/mp3.h"

#include <mpg123.h>

#include <cstring>
#include <memory>

#include "base/error.h"
#include "media/memory_file.h"
#include "media/mono_mixer.h"

namespace carat {
namespace {

constexpr std::size_t kBlockSamples = 8192;  // decoded at once

[[noreturn]] void refuse(std::string_view name, const char* reason) {
  throw Error(ErrorKind::kBadInput, str(name, ": can't be decoded (", printable(reason), "). The file is damaged."));
}

}  // namespace

bool is_mp3(std::span<const std::byte> file) {
  if (file.size() < 4) return false;
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(file[i]); };
  if (std::memcmp(file.data(), "ID3", 3) == 0) return true;
  // Eleven set bits, then a version, a layer, a bit rate and a sample rate that exist.
  return byte(0) == 0xff && (byte(1) & 0xe0U) == 0xe0U && (byte(1) & 0x18U) != 0x08U && (byte(1) & 0x06U) != 0 &&
         (byte(2) & 0xf0U) != 0xf0U && (byte(2) & 0x0cU) != 0x0cU;
}

std::vector<float> decode_mp3(std::span<const std::byte> file, std::string_view name, const SoundLimits& limits) {
  int error = MPG123_OK;
  const std::unique_ptr<mpg123_handle, void (*)(mpg123_handle*)> mp3(mpg123_new(nullptr, &error), &mpg123_delete);
  if (mp3 == nullptr) throw Error(ErrorKind::kOutOfMemory, str(name, ": ", mpg123_plain_strerror(error)));
  mpg123_param(mp3.get(), MPG123_ADD_FLAGS, MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_GAPLESS | MPG123_SKIP_ID3V2, 0);
  MemoryFile memory(file);
  mpg123_replace_reader_handle(
      mp3.get(),
      [](void* self, void* out, std::size_t count) -> ssize_t {
        return static_cast<MemoryFile*>(self)->read(out, static_cast<std::int64_t>(count));
      },
      [](void* self, off_t offset, int whence) -> off_t {
        return static_cast<MemoryFile*>(self)->seek(offset, whence);
      },
      nullptr);
  long rate = 0;  // NOLINT(google-runtime-int): mpg123's
  int channels = 0;
  int encoding = 0;
  if (mpg123_open_handle(mp3.get(), &memory) != MPG123_OK ||
      mpg123_getformat(mp3.get(), &rate, &channels, &encoding) != MPG123_OK) {
    refuse(name, mpg123_strerror(mp3.get()));
  }
  // The file may not change its mind about them.
  mpg123_format_none(mp3.get());
  mpg123_format(mp3.get(), rate, channels, MPG123_ENC_FLOAT_32);
  MonoMixer mixer(static_cast<std::size_t>(rate), static_cast<std::size_t>(channels), name, limits);
  const off_t frames = mpg123_length(mp3.get());
  if (frames > static_cast<off_t>(limits.max_seconds) * rate) {
    throw_sound_too_long(static_cast<double>(frames) / static_cast<double>(rate), name, limits);
  }
  std::vector<float> block(kBlockSamples);
  while (true) {
    std::size_t bytes = 0;
    error = mpg123_read(mp3.get(), block.data(), block.size() * sizeof(float), &bytes);
    mixer.push(std::span(block).first(bytes / sizeof(float)));
    if (error != MPG123_OK) break;  // the end, or damage that can't be passed over: what came before is heard
  }
  return mixer.finish();
}

}  // namespace carat
