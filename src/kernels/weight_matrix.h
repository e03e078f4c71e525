// WeightMatrix: a matrix of weights as it stands in a file, of any element type. A view: the file's mapping must
// outlive it.
#pragma once

#include <cassert>
#include <cstddef>

#include "kernels/kernel_table.h"

namespace carat {

struct WeightMatrix {
  DType dtype = DType::kF32;
  const std::byte* data = nullptr;
  std::size_t rows = 0;  // outputs
  std::size_t cols = 0;  // inputs
  std::size_t row_bytes = 0;

  bool empty() const { return data == nullptr; }
  std::size_t size_bytes() const { return rows * row_bytes; }
  const std::byte* row(std::size_t i) const {
    assert(i < rows);
    return data + i * row_bytes;
  }
  WeightMatrix row_range(std::size_t first, std::size_t count) const {
    assert(first + count <= rows);
    return {dtype, data + first * row_bytes, count, cols, row_bytes};
  }
};

}  // namespace carat
