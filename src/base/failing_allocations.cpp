#include "base/failing_allocations.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace carat {
namespace {

// operator new has no arguments to bring them by.
std::atomic<std::int64_t> g_left{0};  // allocations until the one that fails; 0 or less: none fails
thread_local int t_exemptions = 0;

bool fails_now() {
  return t_exemptions == 0 && g_left.load(std::memory_order_relaxed) > 0 && g_left.fetch_sub(1) == 1;
}

void* allocate(std::size_t size) noexcept {
  return fails_now() ? nullptr : std::malloc(size == 0 ? 1 : size);
}

}  // namespace

void fail_allocation(std::size_t n) {
  g_left = static_cast<std::int64_t>(n);
}

bool stop_failing_allocations() {
  return g_left.exchange(0) <= 0;
}

ExemptFromFailing::ExemptFromFailing() {
  ++t_exemptions;
}

ExemptFromFailing::~ExemptFromFailing() {
  --t_exemptions;
}

}  // namespace carat

void* operator new(std::size_t size) {
  void* p = carat::allocate(size);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void* operator new[](std::size_t size) {
  return operator new(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return carat::allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return carat::allocate(size);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, std::size_t) noexcept {
  std::free(p);
}

// What AlignedBuffer asks.
extern "C" int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  if (carat::fails_now()) return ENOMEM;
  *out = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  return *out == nullptr ? ENOMEM : 0;
}
