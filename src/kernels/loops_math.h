// exp, tanh and gelu on registers of a vocabulary S (simd_*.h), operation for operation those of reference.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/coefficients.h"

namespace carat::loops {

template <typename S>
[[gnu::always_inline]] inline typename S::F32 negative(typename S::F32 x) {
  return S::floats(S::bit_xor(S::bits(x), S::set1_i32(0x80000000U)));
}

template <typename S>
[[gnu::always_inline]] inline typename S::F32 magnitude(typename S::F32 x) {
  return S::floats(S::bit_and(S::bits(x), S::set1_i32(0x7fffffffU)));
}

// NaN stays NaN, since min and max give their second operand.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 clamp(typename S::F32 x, float low, float high) {
  return S::min(S::set1(high), S::max(S::set1(low), x));
}

// exp(r) - 1 for |r| <= ln 2 / 2.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 exp_minus_1_reduced(typename S::F32 r) {
  auto p = S::set1(kExpP4);
  p = S::fma(p, r, S::set1(kExpP3));
  p = S::fma(p, r, S::set1(kExpP2));
  p = S::fma(p, r, S::set1(kExpP1));
  p = S::fma(p, r, S::set1(kExpP0));
  return S::fma(S::mul(r, r), p, r);
}

// 2^n for -127 < n < 128.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 power_of_two(typename S::I32 n) {
  return S::floats(S::template shl<23>(S::add_i32(n, S::set1_i32(127))));
}

// x * 2^n in two halves, as 2^n itself may be too large or too small for a float.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 times_power_of_two(typename S::F32 x, typename S::I32 n) {
  const auto half = S::template sar<1>(n);
  return S::mul(S::mul(x, power_of_two<S>(half)), power_of_two<S>(S::sub_i32(n, half)));
}

// n of n + kRoundMagic, as a float and as an integer.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 rounded(typename S::F32 with_magic) {
  return S::sub(with_magic, S::set1(kRoundMagic));
}

template <typename S>
[[gnu::always_inline]] inline typename S::I32 rounded_bits(typename S::F32 with_magic) {
  return S::sub_i32(S::bits(with_magic), S::bits(S::set1(kRoundMagic)));
}

// v - n ln 2.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 without_powers(typename S::F32 v, typename S::F32 n) {
  return S::fnma(n, S::set1(kLn2Low), S::fnma(n, S::set1(kLn2High), v));
}

template <typename S>
[[gnu::always_inline]] inline typename S::F32 exp(typename S::F32 x) {
  x = clamp<S>(x, kExpLowest, kExpHighest);
  const auto n = S::fma(x, S::set1(kLog2E), S::set1(kRoundMagic));
  const auto r = without_powers<S>(x, rounded<S>(n));
  // 2^n as 2^(n - 1) * 2, since n = 128 comes up. The shift leaves n's lowest 9 bits, which are free of kRoundMagic's.
  const auto half_power = S::floats(S::add_i32(S::template shl<23>(S::bits(n)), S::set1_i32(126U << 23)));
  const auto value = S::mul(S::mul(S::add(S::set1(1), exp_minus_1_reduced<S>(r)), half_power), S::set1(2));
  // Magnitudes compare as integers, NaN above all others.
  const auto below_smallest = S::set1_i32(__builtin_bit_cast(std::uint32_t, kExpSmallest) - 1U);
  const auto counts = S::greater_i32(S::bits(magnitude<S>(value)), below_smallest);
  return S::floats(S::bit_and(S::bits(value), counts));
}

template <typename S>
[[gnu::always_inline]] inline typename S::F32 tanh(typename S::F32 y) {
  const auto v = clamp<S>(S::mul(S::set1(-2), magnitude<S>(y)), kTanhLowest, 0);
  const auto n = S::fma(v, S::set1(kLog2E), S::set1(kRoundMagic));
  const auto r = without_powers<S>(v, rounded<S>(n));
  const auto power = power_of_two<S>(rounded_bits<S>(n));
  const auto m = magnitude<S>(S::fma(power, exp_minus_1_reduced<S>(r), S::sub(power, S::set1(1))));
  const auto result = S::div(m, S::sub(S::set1(2), m));
  return S::floats(S::bit_or(S::bits(result), S::bit_and(S::bits(y), S::set1_i32(0x80000000U))));
}

template <typename S>
[[gnu::always_inline]] inline typename S::F32 gelu(typename S::F32 x) {
  const auto a = S::set1(kGeluA);
  const auto b = S::set1(kGeluB);
  const auto u = clamp<S>(negative<S>(x), -kGeluBound, kGeluBound);
  // p + p_low = a + b u^2 and w + w_low = u (a + b u^2), to some 40 bits.
  const auto square = S::mul(u, u);
  const auto square_low = S::fma(u, u, negative<S>(square));
  const auto p = S::fma(square, b, a);
  const auto p_rest = S::add(S::fma(square, b, S::sub(a, p)), S::set1(kGeluALow));
  const auto p_low = S::fma(square_low, b, S::fma(square, S::set1(kGeluBLow), p_rest));
  const auto w = S::mul(u, p);
  const auto w_low = S::fma(u, p_low, S::fma(u, p, negative<S>(w)));
  const auto n = S::add(w, S::set1(kRoundMagic));
  const auto r = S::mul(S::add(S::sub(w, rounded<S>(n)), w_low), S::set1(kLn2High));
  const auto power = times_power_of_two<S>(S::add(S::set1(1), exp_minus_1_reduced<S>(r)), rounded_bits<S>(n));
  return S::div(x, S::add(S::set1(1), power));
}

}  // namespace carat::loops
