// MemoryFile: bytes in memory with a place to read at, for decoders that want to read and seek.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>

namespace carat {

class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size()); }
  std::int64_t tell() const { return static_cast<std::int64_t>(at_); }
  // whence as in fseek; places before or behind the bytes become their first or last. -1 for what no file could have.
  std::int64_t seek(std::int64_t offset, int whence) {
    const std::int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? tell() : size();
    std::int64_t target = 0;
    if (__builtin_add_overflow(base, offset, &target)) return -1;
    at_ = static_cast<std::size_t>(std::clamp<std::int64_t>(target, 0, size()));
    return tell();
  }
  // Bytes read, at most count; 0 at the end.
  std::int64_t read(void* out, std::int64_t count) {
    const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
    const std::size_t n = std::min(wanted, bytes_.size() - at_);
    if (n > 0) std::memcpy(out, bytes_.data() + at_, n);
    at_ += n;
    return static_cast<std::int64_t>(n);
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace carat
