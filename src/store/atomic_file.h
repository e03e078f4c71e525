// Small files that are replaced as a whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace carat {

// Makes the folders above if need be. Throws Error(kBadFile) naming the file.
void write_file_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644);

// Makes a new or changed name in a folder last through a loss of power; does nothing where the file system can't.
void sync_folder(const std::filesystem::path& folder) noexcept;

// A lock between processes on a file, made if need be, held while this lives. Waits for others; is_cancelled is asked
// meanwhile and may end the wait by throwing.
class FileLock {
 public:
  template <typename Poll>
  FileLock(const std::filesystem::path& path, const Poll& poll) : FileLock(path) {
    while (!try_lock()) poll();
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

  // Whether somebody holds it just now. A lock that was never taken is not made.
  static bool is_held(const std::filesystem::path& path);

 private:
  explicit FileLock(const std::filesystem::path& path) : fd_(open_lock(path)) {}  // not locked yet
  static int open_lock(const std::filesystem::path& path);
  // Waits a moment where it is taken.
  bool try_lock() const;

  int fd_;
};

}  // namespace carat
