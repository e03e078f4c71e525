#include "base/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace carat::detail {
namespace {
constexpr std::size_t kAlignment = 64;
}

void FreeAligned::operator()(void* p) const noexcept {
  std::free(p);
}

void throw_out_of_memory(std::string_view purpose, std::size_t size_bytes) {
  throw Error(ErrorKind::kOutOfMemory,
              str("out of memory: ", purpose, " needs ", size_bytes >> 20,
                  " MiB. Use a shorter context (--ctx), a smaller cache type (--kv-type) or a smaller model."));
}

void* allocate_zeroed(std::size_t size_bytes, std::string_view purpose) {
  if (size_bytes == 0) return nullptr;
  // calloc leaves fresh pages of a large block untouched, which aligned_alloc with memset would not; its blocks are
  // 16-byte aligned only, so large ones are asked for with room to spare through posix_memalign on page size.
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  void* p = nullptr;
  const std::size_t alignment = size_bytes >= kHuge ? kHuge : kAlignment;
  if (posix_memalign(&p, alignment, size_bytes) != 0) throw_out_of_memory(purpose, size_bytes);
  if (size_bytes >= kHuge) {
    // Fresh from the kernel or not, whole pages read as zero after this; what is never written takes no memory.
    const std::size_t whole = size_bytes & ~(kHuge - 1);
    if (madvise(p, whole, MADV_DONTNEED) != 0) std::memset(p, 0, whole);
    std::memset(static_cast<char*>(p) + whole, 0, size_bytes - whole);
    madvise(p, whole, MADV_HUGEPAGE);  // fewer TLB misses; no harm where it is refused
  } else {
    std::memset(p, 0, size_bytes);
  }
  return p;
}

}  // namespace carat::detail
