// Conversions of rows between number formats, written once over a register vocabulary S (simd_*.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/coefficients.h"
#include "kernels/kernel_table.h"
#include "kernels/unroll.h"

namespace carat::loops {

// Rounds to nearest even; NaN stays NaN, made quiet. The result lies in the lower 16 bits.
template <typename S>
[[gnu::always_inline]] inline typename S::I32 bf16_bits(typename S::F32 x) {
  const auto bits = S::bits(x);
  const auto upper = S::template shr<16>(bits);
  const auto odd = S::bit_and(upper, S::set1_i32(1));
  const auto rounded = S::template shr<16>(S::add_i32(bits, S::add_i32(odd, S::set1_i32(0x7fff))));
  const auto magnitude = S::bit_and(bits, S::set1_i32(0x7fffffffU));
  const auto is_nan = S::greater_i32(magnitude, S::set1_i32(0x7f800000U));
  return S::select(is_nan, S::bit_or(upper, S::set1_i32(0x40)), rounded);
}

// out[i] = to_half(x[i]), sixteen at a time: to_half(p, v) stores 16 values.
template <typename S, typename F>
[[gnu::always_inline]] inline void map_to_16(const float* x, std::size_t n, std::uint16_t* out, const F& store) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, S::load(x + i));
  if (i < n) {
    std::uint16_t rest[16];
    store(rest, S::load_part(x + i, n - i, S::set1(0)));
    __builtin_memcpy(out + i, rest, (n - i) * sizeof(*out));
  }
}

template <typename S>
void to_f16(const float* x, std::size_t n, std::uint16_t* out) {
  map_to_16<S>(x, n, out, [](std::uint16_t* p, typename S::F32 v) { S::store_f16(p, v); });
}

template <typename S>
void to_bf16(const float* x, std::size_t n, std::uint16_t* out) {
  map_to_16<S>(x, n, out, [](std::uint16_t* p, typename S::F32 v) { S::store_low_16(p, bf16_bits<S>(v)); });
}

template <typename S>
void quantize_i8(const float* x, std::size_t n, std::int8_t* codes, float* scales, std::int32_t* sums) {
  const auto without_sign = S::set1_i32(0x7fffffffU);
  for (std::size_t block = 0; block < n / kActivationBlock; ++block) {
    const typename S::F32 values[2] = {S::load(x + block * kActivationBlock),
                                       S::load(x + block * kActivationBlock + kActivationHalf)};
    // Magnitudes compare as integers, NaN above infinity.
    const std::int32_t largest_bits = S::fold_max_i32(
        S::max_i32(S::bit_and(S::bits(values[0]), without_sign), S::bit_and(S::bits(values[1]), without_sign)));
    const auto largest = __builtin_bit_cast(float, largest_bits);
    const bool is_zero = largest < kQuantizeSmallest;
    const bool has_codes = !is_zero && largest_bits < 0x7f800000;
    const auto inverse = S::set1(127.0F / largest);
    const auto mask = S::set1_i32(has_codes ? 0xffffffffU : 0U);
    scales[block] = is_zero ? 0.0F : largest / 127.0F;
    unroll<2>([&](auto half) {
      constexpr std::size_t kHalf = decltype(half)::kValue;
      const auto code = S::bit_and(S::round_to_i32(S::mul(values[kHalf], inverse)), mask);
      S::store_low_8(codes + block * kActivationBlock + kHalf * kActivationHalf, code);
      sums[block * 2 + kHalf] = S::fold_add_i32(code);
    });
  }
}

}  // namespace carat::loops
