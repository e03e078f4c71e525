#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace carat {
namespace {

std::int64_t modified_ns(const struct stat& info) {
  return std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

// What Debian 12's headers lack (man 2 cachestat).
constexpr long kCachestat = 451;  // the system call's number on every architecture
struct CachestatRange {
  std::uint64_t offset;
  std::uint64_t bytes;
};
struct Cachestat {
  std::uint64_t cached;  // pages
  std::uint64_t others[4];
};

}  // namespace

File::File(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: opening a pipe nobody writes to must not hang; it has no effect on regular files.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) {
    const int error = errno;
    const bool is_missing = error == ENOENT || error == ENOTDIR;
    throw Error(is_missing ? ErrorKind::kNotFound : ErrorKind::kBadFile,
                str(path.string(), ": ", is_missing ? "no such file" : std::strerror(error), ". Check the path",
                    error == EACCES ? " and who may read the file." : "."));
  }
  struct stat info {};
  if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    fd_ = -1;
    throw Error(ErrorKind::kBadFile,
                str(path.string(), ": not a regular file, but a folder, a pipe or a device. Name a file."));
  }
  size_bytes_ = static_cast<std::uint64_t>(info.st_size);
  modified_ns_ = modified_ns(info);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_bytes_(other.size_bytes_),
      modified_ns_(other.modified_ns_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(modified_ns_, other.modified_ns_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

bool File::is_unchanged() const {
  struct stat info {};
  return ::fstat(fd_, &info) == 0 && static_cast<std::uint64_t>(info.st_size) == size_bytes_ &&
         modified_ns(info) == modified_ns_;
}

void File::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n > 0) {
      done += static_cast<std::size_t>(n);
    } else if (n == 0) {
      throw Error(ErrorKind::kBadFile, str(path_.string(), ": ends at byte ", offset + done, ", needed ", out.size(),
                                           " bytes from ", offset, ". The file has shrunk; download it again."));
    } else if (errno != EINTR) {
      throw Error(ErrorKind::kBadFile, str(path_.string(), ": can't read at byte ", offset + done, ": ",
                                           std::strerror(errno), ". Check the disk."));
    }
  }
}

MappedFile::MappedFile(const std::filesystem::path& path) : file_(path) {
  if (file_.size_bytes() == 0) return;
  void* p = ::mmap(nullptr, file_.size_bytes(), PROT_READ, MAP_SHARED, file_.descriptor(), 0);
  if (p == MAP_FAILED) {
    throw Error(ErrorKind::kOutOfMemory, str(path.string(), ": can't map ", file_.size_bytes(),
                                             " bytes: ", std::strerror(errno), ". Check ulimit -v."));
  }
  bytes_ = {static_cast<const std::byte*>(p), file_.size_bytes()};
  guard_ = MappingGuard(bytes_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : file_(std::move(other.file_)), bytes_(std::exchange(other.bytes_, {})), guard_(std::move(other.guard_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(bytes_, other.bytes_);
  std::swap(guard_, other.guard_);
  return *this;
}

MappedFile::~MappedFile() {
  guard_ = {};  // before the addresses may be given to something else
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void enter_cached(const File& file, std::uint64_t offset, std::span<const std::byte> mapped) noexcept {
  constexpr std::size_t kPiece = std::size_t{16} << 20U;  // few calls, and little left out where a page is missing
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t before = reinterpret_cast<std::uintptr_t>(mapped.data()) % page;
  const std::size_t size = before + mapped.size();
  for (std::size_t at = 0; at < size; at += kPiece) {
    const std::size_t bytes = std::min(kPiece, size - at);
    const CachestatRange range{offset - before + at, bytes};
    Cachestat stat{};
    if (::syscall(kCachestat, file.descriptor(), &range, &stat, 0) != 0) return;
    if (stat.cached < (bytes + page - 1) / page) continue;
    ::madvise(const_cast<std::byte*>(mapped.data()) - before + at, bytes, MADV_POPULATE_READ);
  }
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const File file(path);
  if (file.size_bytes() > max_bytes) {
    throw Error(ErrorKind::kBadFile, str(path.string(), ": has ", file.size_bytes(), " bytes, at most ", max_bytes,
                                         " are expected. Is it the right file?"));
  }
  std::string text(file.size_bytes(), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace carat
