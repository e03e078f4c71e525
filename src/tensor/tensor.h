// Tensor: a name, a type, a shape and a read-only view of bytes that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace carat {

class File;

// bytes.size() always equals the product of shape in bytes of dtype: whoever makes a Tensor has checked it.
struct Tensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::uint64_t> shape;  // outermost first: [rows, cols] for a matrix; the last one is contiguous
  std::span<const std::byte> bytes;  // in the mapping of the file it came from
  const File* file = nullptr;        // that file, for reads that go around the mapping, and
  std::uint64_t file_offset = 0;     // where in it the bytes begin

  std::uint64_t values() const;
  std::uint64_t cols() const { return shape.empty() ? 1 : shape.back(); }
  std::uint64_t rows() const;  // product of all extents but the last; 1 for none
};

// Bytes of a tensor of that type and shape, outermost extent first; nullopt when its rows are no whole number of blocks
// or 64 bits can't count them.
std::optional<std::uint64_t> tensor_bytes(DType dtype, std::span<const std::uint64_t> shape);

// "[262144, 1536]"
std::string shape_text(std::span<const std::uint64_t> shape);

}  // namespace carat
