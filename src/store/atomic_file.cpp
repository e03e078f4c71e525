#include "store/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "base/error.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, int error) {
  throw Error(
      error == ENOSPC || error == EDQUOT ? ErrorKind::kOutOfMemory : ErrorKind::kBadFile,
      str(path.string(), ": can't write: ", std::strerror(error), ". Check the folder and the space on the disk."));
}

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view content, unsigned mode) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail(path, error.value());
  std::string temporary = path.string() + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) fail(path, errno);
  int problem = 0;
  for (std::string_view rest = content; problem == 0 && !rest.empty();) {
    const ssize_t n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno != EINTR) problem = errno;
    if (n > 0) rest.remove_prefix(static_cast<std::size_t>(n));
  }
  if (problem == 0 && ::fchmod(fd, mode) != 0) problem = errno;
  if (problem == 0 && ::fsync(fd) != 0) problem = errno;
  ::close(fd);
  if (problem == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) problem = errno;
  if (problem != 0) {
    ::unlink(temporary.c_str());
    fail(path, problem);
  }
  sync_folder(path.parent_path());
}

void sync_folder(const fs::path& folder) noexcept {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

int FileLock::open_lock(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) fail(path, errno);
  return fd;
}

bool FileLock::try_lock() const {
  constexpr auto kWait = std::chrono::milliseconds(100);
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
  std::this_thread::sleep_for(kWait);
  return false;
}

bool FileLock::is_held(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  const bool is_free = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  ::close(fd);
  return !is_free;
}

FileLock::~FileLock() {
  ::close(fd_);
}

}  // namespace carat
