// File and MappedFile: read-only files, closed and unmapped when they go out of scope.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/mapping_guard.h"

namespace carat {

// An open file for reading at offsets. Only regular files: a device or a pipe is refused. Threads may share it.
class File {
 public:
  // Throws Error: kNotFound when there is none, kBadFile when it can't be read or isn't a regular file.
  explicit File(const std::filesystem::path& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  int descriptor() const { return fd_; }
  // False once the file has another size or time of change than when it was opened: then what has been read of it no
  // longer holds together, and a mapping of it may fault.
  bool is_unchanged() const;
  // Fills out from the file's bytes at offset. Throws Error(kBadFile) when the file ends before or can't be read.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_bytes_ = 0;
  std::int64_t modified_ns_ = 0;  // since 1970
};

// A whole file as bytes in memory, read from disk as they are touched. Guarded (mapping_guard.h): a process may outlive
// the file's shrinking.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);  // errors as File
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const File& file() const { return file_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  File file_;
  std::span<const std::byte> bytes_;
  MappingGuard guard_;  // of bytes_
};

// Enters into the page tables what memory already holds of mapped bytes of a file, which stand in it from `offset` on:
// in one go that takes a tenth of what as many faults at first touches take. Reads nothing. Does nothing on kernels
// before Linux 6.5, and for files of others.
void enter_cached(const File& file, std::uint64_t offset, std::span<const std::byte> mapped) noexcept;

// The whole of a text file of at most max_bytes. Throws as File, and Error(kBadFile) when it is longer.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace carat
