// The element types of tensors, as bare numbers: kernels that may include nothing else index their tables by these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace carat {

// Order is that of the rows in dtype.cpp. Names as GGUF has them.
// clang-format off: a family a line
enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kI16,
  kI32,
  kI64,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ1_S,
  kIQ1_M,
  kIQ2_XXS,
  kIQ2_XS,
  kIQ2_S,
  kIQ3_XXS,
  kIQ3_S,
  kIQ4_NL,
  kIQ4_XS,
  kTQ1_0,
  kTQ2_0,
  kMXFP4,
  kNVFP4,
};
// clang-format on

inline constexpr std::size_t kDTypeCount = 31;

}  // namespace carat
