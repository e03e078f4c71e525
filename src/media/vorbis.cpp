#include "media/vorbis.h"

#define OV_EXCLUDE_STATIC_CALLBACKS  // NOLINT(cppcoreguidelines-macro-usage): vorbisfile.h would define unused ones
#include <ogg/ogg.h>
#include <vorbis/vorbisfile.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "base/error.h"
#include "media/memory_file.h"
#include "media/mono_mixer.h"

namespace carat {
namespace {

constexpr int kBlockFrames = 4096;  // decoded at once

struct Vorbis {
  explicit Vorbis(MemoryFile& memory) {
    // Without a way to seek the stream is read once, front to back.
    const ov_callbacks callbacks{[](void* out, std::size_t size, std::size_t count, void* self) {
                                   return static_cast<std::size_t>(static_cast<MemoryFile*>(self)->read(
                                       out, static_cast<std::int64_t>(size * count)));
                                 },
                                 nullptr, nullptr, nullptr};
    is_open = ov_open_callbacks(&memory, &file, nullptr, 0, callbacks) == 0;
  }
  ~Vorbis() {
    if (is_open) ov_clear(&file);
  }
  Vorbis(const Vorbis&) = delete;
  Vorbis& operator=(const Vorbis&) = delete;

  OggVorbis_File file{};
  bool is_open = false;
};

// What the page at the beginning of an OGG file carries; nothing where that page is damaged.
std::string first_page_body(std::span<const std::byte> file) {
  constexpr std::size_t kMaxPageBytes = 65'307;
  const std::span<const std::byte> beginning = file.first(std::min(file.size(), kMaxPageBytes));
  ogg_sync_state sync{};
  const std::unique_ptr<ogg_sync_state, decltype(&ogg_sync_clear)> clear(&sync, &ogg_sync_clear);
  const auto size = static_cast<long>(beginning.size());
  char* buffer = ogg_sync_buffer(&sync, size);
  if (buffer == nullptr) throw std::bad_alloc();
  std::copy(beginning.begin(), beginning.end(), reinterpret_cast<std::byte*>(buffer));
  ogg_page page{};
  if (ogg_sync_wrote(&sync, size) != 0 || ogg_sync_pageseek(&sync, &page) <= 0) return {};
  return {reinterpret_cast<const char*>(page.body), static_cast<std::size_t>(page.body_len)};
}

}  // namespace

bool is_ogg_vorbis(std::span<const std::byte> file) {
  constexpr std::string_view kMagic = "OggS";
  if (file.size() < kMagic.size() || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) return false;
  const std::string body = first_page_body(file);
  return !body.starts_with("OpusHead") && !body.starts_with("\177FLAC");
}

std::vector<float> decode_vorbis(std::span<const std::byte> file, std::string_view name, const SoundLimits& limits) {
  MemoryFile memory(file);
  Vorbis vorbis(memory);
  const vorbis_info* info = vorbis.is_open ? ov_info(&vorbis.file, -1) : nullptr;
  if (info == nullptr) {
    throw Error(ErrorKind::kBadInput, str(name, ": can't be decoded (no Vorbis stream). The file is damaged."));
  }
  const auto rate = static_cast<std::size_t>(std::max(info->rate, 0L));
  const auto channels = static_cast<std::size_t>(std::max(info->channels, 0));
  MonoMixer mixer(rate, channels, name, limits);
  std::vector<float> block;
  while (true) {
    float** samples = nullptr;  // by channel
    int link = 0;
    const auto frames = ov_read_float(&vorbis.file, &samples, kBlockFrames, &link);
    if (frames == OV_HOLE) continue;      // damage that was passed over
    if (frames <= 0 || link != 0) break;  // the end, or another stream behind this one
    block.resize(static_cast<std::size_t>(frames) * channels);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(frames); ++i) block[i * channels + c] = samples[c][i];
    }
    mixer.push(block);
  }
  return mixer.finish();
}

}  // namespace carat
