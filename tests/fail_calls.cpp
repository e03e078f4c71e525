// A library for LD_PRELOAD, with which tests let calls to the system fail.
//
//   CARAT_FAIL=pwrite:3:28 CARAT_FAILED=/tmp/mark   the third pwrite fails with ENOSPC (28), and the file appears;
//   CARAT_FAIL=pwrite:3+:28                         and so does each that follows.
//
//   CARAT_FULL=1000    each pwrite that ends beyond byte 1000 of its file fails with ENOSPC.
//
//   CARAT_CLOCK=jumps  the calendar's clock is an hour behind at every third look, and ahead at the others.
//
// open counts where a file is made or written; write and its like for anything but the standard streams.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

struct Plan {
  char call[32] = "";
  long number = 0;
  bool stays = false;
  int error = 0;
  const char* mark = nullptr;
  std::atomic<long> seen{0};

  Plan() {
    const char* text = std::getenv("CARAT_FAIL");
    if (text == nullptr) return;
    char sign[2] = "";
    if (std::sscanf(text, "%31[^:]:%ld%1[+]:%d", call, &number, sign, &error) != 4) {
      std::sscanf(text, "%31[^:]:%ld:%d", call, &number, &error);
    }
    stays = sign[0] == '+';
    mark = std::getenv("CARAT_FAILED");
  }
};

Plan& plan() {
  static Plan the_plan;
  return the_plan;
}

// True when this call is to fail; errno is set.
bool fails(const char* call) {
  Plan& p = plan();
  if (p.number == 0 || std::strcmp(p.call, call) != 0) return false;
  const long number = ++p.seen;
  if (number != p.number && !(p.stays && number > p.number)) return false;
  if (p.mark != nullptr) {
    // Not by open(), which may be the call that fails.
    if (FILE* file = std::fopen(p.mark, "w")) std::fclose(file);
  }
  errno = p.error;
  return true;
}

// True when a write up to this byte does not fit on the disk; errno is set.
bool is_full(long end) {
  static const char* const text = std::getenv("CARAT_FULL");
  static const long room = text == nullptr ? 0 : std::atol(text);
  if (text == nullptr || end <= room) return false;
  errno = ENOSPC;
  return true;
}

template <typename Function>
Function original(Function /*like*/, const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = original(&write, "write");
  return fd > STDERR_FILENO && fails("write") ? -1 : real(fd, data, size);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static const auto real = original(&pwrite, "pwrite");
  if (fails("pwrite") || is_full(offset + static_cast<long>(size))) return -1;
  return real(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  static const auto real = original(&pwrite64, "pwrite64");
  if (fails("pwrite") || is_full(offset + static_cast<long>(size))) return -1;
  return real(fd, data, size, offset);
}

ssize_t pread(int fd, void* data, size_t size, off_t offset) {
  static const auto real = original(&pread, "pread");
  return fails("pread") ? -1 : real(fd, data, size, offset);
}

ssize_t pread64(int fd, void* data, size_t size, off64_t offset) {
  static const auto real = original(&pread64, "pread64");
  return fails("pread") ? -1 : real(fd, data, size, offset);
}

int open(const char* path, int flags, ...) {
  static const auto real = original(&open, "open");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0 && fails("open") ? -1 : real(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  static const auto real = original(&open64, "open64");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0 && fails("open") ? -1 : real(path, flags, mode);
}

int fsync(int fd) {
  static const auto real = original(&fsync, "fsync");
  return fails("fsync") ? -1 : real(fd);
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = original(&rename, "rename");
  return fails("rename") ? -1 : real(from, to);
}

int symlink(const char* target, const char* link) noexcept {
  static const auto real = original(&symlink, "symlink");
  return fails("symlink") ? -1 : real(target, link);
}

int ftruncate(int fd, off_t size) noexcept {
  static const auto real = original(&ftruncate, "ftruncate");
  return fails("ftruncate") ? -1 : real(fd, size);
}

int ftruncate64(int fd, off64_t size) noexcept {
  static const auto real = original(&ftruncate64, "ftruncate64");
  return fails("ftruncate") ? -1 : real(fd, size);
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  static const auto real = original(&mmap, "mmap");
  return fd >= 0 && fails("mmap") ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

void* mmap64(void* address, size_t size, int protection, int flags, int fd, off64_t offset) noexcept {
  static const auto real = original(&mmap64, "mmap64");
  return fd >= 0 && fails("mmap") ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  static const auto real = original(&pthread_create, "pthread_create");
  return fails("pthread_create") ? EAGAIN : real(thread, attributes, start, argument);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static const auto real = original(&clock_gettime, "clock_gettime");
  static const bool jumps = std::getenv("CARAT_CLOCK") != nullptr;
  static std::atomic<unsigned> calls{0};
  const int result = real(clock, time);
  if (jumps && clock == CLOCK_REALTIME) time->tv_sec += calls++ % 3 == 0 ? -3600 : 3600;
  return result;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
