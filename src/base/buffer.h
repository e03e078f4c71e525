// AlignedBuffer: owned memory, aligned to a cache line; the one place that allocates in bulk.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/view.h"

namespace carat {

namespace detail {
struct FreeAligned {
  void operator()(void* p) const noexcept;
};
// size_bytes zeroed bytes at a 64-byte boundary. Throws Error(kOutOfMemory) that names `purpose`.
void* allocate_zeroed(std::size_t size_bytes, std::string_view purpose);
}  // namespace detail

// n values of T, zero at first. Throws Error(kOutOfMemory), naming what the memory was for. Large buffers come
// straight from the kernel, so pages that are never written take no memory.
template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  AlignedBuffer(std::size_t n, std::string_view purpose)
      : data_(static_cast<T*>(detail::allocate_zeroed(checked_bytes(n, purpose), purpose))), size_(n) {}

  T* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
  bool empty() const noexcept { return size_ == 0; }
  std::span<T> span() const noexcept { return {data_.get(), size_}; }
  // The first rows * cols values as a matrix.
  MatView<T> mat(std::size_t rows, std::size_t cols) const {
    assert(rows * cols <= size_);
    return {data_.get(), rows, cols};
  }

 private:
  static std::size_t checked_bytes(std::size_t n, std::string_view purpose);

  std::unique_ptr<T, detail::FreeAligned> data_;
  std::size_t size_ = 0;
};

namespace detail {
[[noreturn]] void throw_out_of_memory(std::string_view purpose, std::size_t size_bytes);
}

template <typename T>
std::size_t AlignedBuffer<T>::checked_bytes(std::size_t n, std::string_view purpose) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(n, sizeof(T), &bytes)) detail::throw_out_of_memory(purpose, n);
  return bytes;
}

}  // namespace carat
