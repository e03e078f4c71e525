#include "tensor/tensor.h"

#include "base/checked.h"

namespace carat {

std::uint64_t Tensor::values() const {
  std::uint64_t n = 1;
  for (const std::uint64_t extent : shape) n *= extent;
  return n;
}

std::uint64_t Tensor::rows() const {
  std::uint64_t n = 1;
  for (std::size_t d = 0; d + 1 < shape.size(); ++d) n *= shape[d];
  return n;
}

std::optional<std::uint64_t> tensor_bytes(DType dtype, std::span<const std::uint64_t> shape) {
  if (shape.empty()) return row_bytes(dtype, 1);
  const auto row = row_bytes(dtype, shape.back());
  const auto rows = checked_product(shape.first(shape.size() - 1));
  return row && rows ? checked_mul(*row, *rows) : std::nullopt;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace carat
