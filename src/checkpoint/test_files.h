// For the tests and fuzzers of this folder: files made of bytes at hand, and a builder of little-endian bytes.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.h"

namespace carat {

// A file in memory, with a path to open it by. Made once, it can be filled many times.
class MemoryFile {
 public:
  MemoryFile() : fd_(::memfd_create("carat", MFD_CLOEXEC)) {
    if (fd_ < 0) throw std::runtime_error("memfd_create failed");
  }
  explicit MemoryFile(std::string_view content) : MemoryFile() { fill(content); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(fd_); }

  void fill(std::string_view content) {
    const auto size = static_cast<ssize_t>(content.size());
    if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, content.data(), content.size(), 0) != size) {
      throw std::runtime_error("can't fill a file in memory");
    }
  }
  std::filesystem::path path() const { return str("/proc/self/fd/", fd_); }

 private:
  int fd_;
};

// An empty folder that goes with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "carat_test_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path add(std::string_view name, std::string_view content) const {
    std::filesystem::path path = path_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

 private:
  std::filesystem::path path_;
};

// Bytes one behind the other; numbers little-endian, strings as GGUF has them: length, then bytes.
struct Bytes {
  std::string bytes;

  template <typename T>
  Bytes& number(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& u8(std::uint8_t value) { return number(value); }
  Bytes& u32(std::uint32_t value) { return number(value); }
  Bytes& u64(std::uint64_t value) { return number(value); }
  Bytes& text(std::string_view value) { return u64(value.size()).raw(value); }
  Bytes& raw(std::string_view value) {
    bytes += value;
    return *this;
  }
  Bytes& zeros(std::size_t n) {
    bytes.append(n, '\0');
    return *this;
  }
  Bytes& pad(std::size_t alignment) { return zeros((alignment - bytes.size() % alignment) % alignment); }
};

}  // namespace carat
