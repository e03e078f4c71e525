// F16 and BF16: half-precision numbers as they stand in files, with exact conversions to float and rounding back.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace carat {

// IEEE 754 binary16.
struct F16 {
  std::uint16_t bits = 0;
};

// The upper half of a float.
struct BF16 {
  std::uint16_t bits = 0;
};

inline float to_float(BF16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}

// Exact; NaN stays NaN.
inline float to_float(F16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000U) << 16;
  const std::uint32_t rest = x.bits & 0x7fffU;
  if (rest >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | ((rest & 0x3ffU) << 13));
  if (rest >= 0x0400U) return std::bit_cast<float>(sign | ((rest << 13) + 0x38000000U));
  const float magnitude = static_cast<float>(rest) * 0x1p-24F;  // subnormal: rest units of 2^-24
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

// Rounds to nearest, ties to even; NaN stays NaN (quiet).
inline BF16 to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

// Rounds to nearest, ties to even; too large becomes infinity; NaN stays NaN (quiet).
inline F16 to_f16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) {
    return {static_cast<std::uint16_t>(sign | 0x7e00U | ((magnitude >> 13) & 0x1ffU))};
  }
  if (magnitude >= 0x477ff000U) return {static_cast<std::uint16_t>(sign | 0x7c00U)};  // rounds to 65536 or above
  if (magnitude < 0x38800000U) {                                                      // below 2^-14: subnormal
    const float units = std::bit_cast<float>(magnitude) * 0x1p24F;
    return {static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(std::nearbyint(units)))};
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13))};
}

}  // namespace carat
