#include "base/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace carat {
namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

// The number in a file that holds one; nullopt when it can't be read or says "max".
std::optional<std::size_t> read_number(const char* path) {
  std::ifstream file(path);
  std::size_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// The value in kB, as bytes, of the line of a /proc file that begins with `label`.
std::optional<std::size_t> read_labelled(const char* path, std::string_view label) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::size_t kilobytes = 0;
    if (word == label && file >> kilobytes) return kilobytes * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

std::size_t left_of(std::optional<std::size_t> limit, std::optional<std::size_t> used) {
  if (!limit || !used) return kUnlimited;
  return *limit - std::min(*limit, *used);
}

}  // namespace

std::size_t available_memory() {
  std::size_t available = read_labelled("/proc/meminfo", "MemAvailable:").value_or(kUnlimited);
  available = std::min(available,
                       left_of(read_number("/sys/fs/cgroup/memory.max"), read_number("/sys/fs/cgroup/memory.current")));
  struct rlimit limit {};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    available = std::min(available, left_of(limit.rlim_cur, read_labelled("/proc/self/status", "VmSize:")));
  }
  return available;
}

ResidentMemory resident_memory() {
  return {read_labelled("/proc/self/status", "VmRSS:").value_or(0),
          read_labelled("/proc/self/status", "RssFile:").value_or(0)};
}

void drop_pages(std::span<std::byte> bytes) noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t skipped = -reinterpret_cast<std::uintptr_t>(bytes.data()) % page;
  if (bytes.size() < skipped + page) return;
  madvise(bytes.data() + skipped, (bytes.size() - skipped) / page * page, MADV_DONTNEED);
}

}  // namespace carat
