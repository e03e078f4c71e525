// Buffers that grow with what is asked of them, for what products and attention need beside their operands.
#pragma once

#include <cstddef>

#include "base/buffer.h"

namespace carat {

// Makes room for n values; what was there may go.
template <typename T>
void reserve(AlignedBuffer<T>& buffer, std::size_t n) {
  if (buffer.size() < n) buffer = AlignedBuffer<T>(n, "workspace of a product");
}

}  // namespace carat
