// What products and attention need beside their operands: buffers that grow with what is asked of them.
#pragma once

#include <cstddef>

#include "base/buffer.h"

namespace carat {

// Makes room for n values; what was there may go.
template <typename T>
void reserve(AlignedBuffer<T>& buffer, std::size_t n) {
  if (buffer.size() < n) buffer = AlignedBuffer<T>(n, "workspace of a product");
}

// The multiple of `step` that n fits into.
constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

}  // namespace carat
