#include "cli/recording.h"

#include <array>
#include <limits>

#include "base/error.h"
#include "cli/media_files.h"
#include "cli/terminal.h"

namespace carat {
namespace {

constexpr const char* kPipeName = "standard input";

// What comes in bit by bit is never held as a whole, and may last as long as somebody speaks.
SoundLimits endless() {
  SoundLimits limits;
  limits.max_seconds = std::numeric_limits<std::size_t>::max() / limits.max_rate;
  return limits;
}

// Appends a block of standard input; false at its end.
bool read_block(std::vector<std::byte>& bytes) {
  std::array<std::byte, 65536> block{};
  const std::size_t count = read_stdin_block(block);
  bytes.insert(bytes.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(count));
  return count > 0;
}

}  // namespace

Recording::Recording(const std::string& path, const std::optional<PcmFormat>& raw) {
  if (path == "-") {
    open_pipe(raw);
    return;
  }
  const std::vector<std::byte> file = read_media_file(path);
  const std::string name = printable(path, 4096);
  whole_ = raw ? decode_pcm(file, *raw, name) : decode_sound(file, name);
}

void Recording::open_pipe(const std::optional<PcmFormat>& raw) {
  if (raw) {
    stream_.emplace(*raw, kPipeName, endless());
    return;
  }
  WavHeader header;
  WavKind kind = WavKind::kTooShort;
  bool is_open = true;
  while (kind == WavKind::kTooShort && is_open) {
    is_open = read_block(begun_);
    kind = read_wav_header(begun_, header);
  }
  if (kind == WavKind::kPcm) {
    stream_.emplace(header.format, kPipeName, endless(), header.data_bytes);
    begun_.erase(begun_.begin(), begun_.begin() + static_cast<std::ptrdiff_t>(header.bytes));
    return;
  }
  // Other formats are decoded as a whole.
  const SoundLimits limits;
  while (begun_.size() <= limits.max_bytes && read_block(begun_)) {
  }
  whole_ = decode_sound(begun_, kPipeName, limits);
  begun_.clear();
}

bool Recording::read_more(std::vector<float>& sound) {
  if (!stream_) {
    sound.insert(sound.end(), whole_.begin(), whole_.end());
    return false;
  }
  const bool is_open = !begun_.empty() || read_block(begun_);
  stream_->push(begun_, sound);
  begun_.clear();
  if (!is_open) stream_->finish(sound);
  return is_open;
}

std::optional<std::size_t> Recording::length() const {
  return stream_ ? std::nullopt : std::optional(whole_.size());
}

}  // namespace carat
