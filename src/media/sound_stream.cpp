#include "media/sound_stream.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace carat {
namespace {

constexpr std::size_t kBlockFrames = 4096;           // mixed at once
constexpr std::size_t kMaxHeaderBytes = 1U << 20;    // what stands before the samples is seldom more than pictures
constexpr std::uint32_t kUnknownBytes = 0x7ffff000;  // from here on writers mean that they don't know
constexpr std::uint16_t kWavPcm = 1;
constexpr std::uint16_t kWavFloat = 3;
constexpr std::uint16_t kWavExtensible = 0xfffe;

template <typename T>
T load(const std::byte* p) {
  T value{};
  std::memcpy(&value, p, sizeof(value));
  return value;
}

std::size_t sample_bytes(PcmType type) {
  switch (type) {
    case PcmType::kU8:
      return 1;
    case PcmType::kS16:
      return 2;
    case PcmType::kS24:
      return 3;
    case PcmType::kS32:
    case PcmType::kF32:
      return 4;
  }
  return 4;
}

float sample_of(PcmType type, const std::byte* p) {
  switch (type) {
    case PcmType::kU8:
      return static_cast<float>(load<std::uint8_t>(p) - 128) / 128.0F;
    case PcmType::kS16:
      return static_cast<float>(load<std::int16_t>(p)) / 32768.0F;
    case PcmType::kS24: {
      const int value = load<std::uint16_t>(p) | load<std::int8_t>(p + 2) * 65536;
      return static_cast<float>(value) / 8388608.0F;
    }
    case PcmType::kS32:
      return static_cast<float>(load<std::int32_t>(p)) / 2147483648.0F;
    case PcmType::kF32:
      return load<float>(p);
  }
  return 0;
}

bool is_at(std::span<const std::byte> bytes, std::size_t at, std::string_view tag) {
  return std::memcmp(bytes.data() + at, tag.data(), tag.size()) == 0;
}

// The type of a `fmt ` chunk's samples; none for compressed ones.
std::optional<PcmType> type_of(std::span<const std::byte> chunk) {
  auto tag = load<std::uint16_t>(chunk.data());
  const auto bits = load<std::uint16_t>(chunk.data() + 14);
  if (tag == kWavExtensible && chunk.size() >= 26) tag = load<std::uint16_t>(chunk.data() + 24);
  if (tag == kWavFloat && bits == 32) return PcmType::kF32;
  if (tag != kWavPcm) return std::nullopt;
  if (bits == 8) return PcmType::kU8;
  if (bits == 16) return PcmType::kS16;
  if (bits == 24) return PcmType::kS24;
  if (bits == 32) return PcmType::kS32;
  return std::nullopt;
}

}  // namespace

SoundStream::SoundStream(const PcmFormat& format, std::string_view name, const SoundLimits& limits,
                         std::optional<std::size_t> max_bytes)
    : type_(format.type),
      frame_bytes_(sample_bytes(format.type) * format.channels),
      left_(max_bytes),
      mixer_(format.rate, format.channels, name, limits) {}

void SoundStream::push(std::span<const std::byte> bytes, std::vector<float>& sound) {
  if (left_) {
    bytes = bytes.first(std::min(bytes.size(), *left_));
    *left_ -= bytes.size();
  }
  rest_.insert(rest_.end(), bytes.begin(), bytes.end());
  const std::size_t frames = rest_.size() / frame_bytes_;
  const std::size_t width = sample_bytes(type_);
  for (std::size_t first = 0; first < frames; first += kBlockFrames) {
    block_.resize(std::min(kBlockFrames, frames - first) * frame_bytes_ / width);
    const std::byte* source = rest_.data() + first * frame_bytes_;
    for (std::size_t i = 0; i < block_.size(); ++i) block_[i] = sample_of(type_, source + i * width);
    mixer_.push(block_);
  }
  rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(frames * frame_bytes_));
  mixer_.take(sound);
}

void SoundStream::finish(std::vector<float>& sound) {
  const std::vector<float> last = mixer_.finish();
  sound.insert(sound.end(), last.begin(), last.end());
}

WavKind read_wav_header(std::span<const std::byte> beginning, WavHeader& header) {
  constexpr std::size_t kRiffBytes = 12;
  constexpr std::size_t kChunkBytes = 8;
  constexpr std::size_t kFormatBytes = 16;
  if (beginning.size() < kRiffBytes) return WavKind::kTooShort;
  if (!is_at(beginning, 0, "RIFF") || !is_at(beginning, 8, "WAVE")) return WavKind::kOther;
  bool has_format = false;
  std::size_t at = kRiffBytes;
  while (at <= kMaxHeaderBytes) {
    if (beginning.size() < at + kChunkBytes) return WavKind::kTooShort;
    const auto bytes = load<std::uint32_t>(beginning.data() + at + 4);
    const bool is_format = is_at(beginning, at, "fmt ");
    if (is_at(beginning, at, "data")) {
      header.bytes = at + kChunkBytes;
      header.data_bytes = bytes == 0 || bytes >= kUnknownBytes ? std::nullopt : std::optional<std::size_t>(bytes);
      return has_format ? WavKind::kPcm : WavKind::kOther;
    }
    at += kChunkBytes;
    if (is_format) {
      if (bytes < kFormatBytes || bytes > kMaxHeaderBytes) return WavKind::kOther;
      if (beginning.size() < at + bytes) return WavKind::kTooShort;
      const auto type = type_of(beginning.subspan(at, bytes));
      if (!type) return WavKind::kOther;
      header.format = {*type, load<std::uint32_t>(beginning.data() + at + 4),
                       load<std::uint16_t>(beginning.data() + at + 2)};
      has_format = true;
    }
    at += bytes + bytes % 2;
  }
  return WavKind::kOther;
}

}  // namespace carat
