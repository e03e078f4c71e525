// Twice<S>: the floats of a register vocabulary S (simd_*.h), two at a time. Functions of many dependent steps
// (loops_math.h) wait for their own results; over this vocabulary two runs of steps go side by side.
#pragma once

#include <cstddef>
#include <cstdint>

namespace carat::loops {

template <typename S>
struct Twice {
  struct F32 {
    typename S::F32 low, high;  // lanes 0 .. 15, 16 .. 31
  };
  struct I32 {
    typename S::I32 low, high;
  };

  [[gnu::always_inline]] static F32 load(const float* p) { return {S::load(p), S::load(p + 16)}; }
  [[gnu::always_inline]] static void store(float* p, F32 v) {
    S::store(p, v.low);
    S::store(p + 16, v.high);
  }
  [[gnu::always_inline]] static F32 set1(float x) { return {S::set1(x), S::set1(x)}; }
  [[gnu::always_inline]] static F32 add(F32 x, F32 y) { return {S::add(x.low, y.low), S::add(x.high, y.high)}; }
  [[gnu::always_inline]] static F32 sub(F32 x, F32 y) { return {S::sub(x.low, y.low), S::sub(x.high, y.high)}; }
  [[gnu::always_inline]] static F32 mul(F32 x, F32 y) { return {S::mul(x.low, y.low), S::mul(x.high, y.high)}; }
  [[gnu::always_inline]] static F32 div(F32 x, F32 y) { return {S::div(x.low, y.low), S::div(x.high, y.high)}; }
  [[gnu::always_inline]] static F32 min(F32 x, F32 y) { return {S::min(x.low, y.low), S::min(x.high, y.high)}; }
  [[gnu::always_inline]] static F32 max(F32 x, F32 y) { return {S::max(x.low, y.low), S::max(x.high, y.high)}; }
  [[gnu::always_inline]] static F32 fma(F32 x, F32 y, F32 z) {
    return {S::fma(x.low, y.low, z.low), S::fma(x.high, y.high, z.high)};
  }

  [[gnu::always_inline]] static I32 bits(F32 v) { return {S::bits(v.low), S::bits(v.high)}; }
  [[gnu::always_inline]] static F32 floats(I32 v) { return {S::floats(v.low), S::floats(v.high)}; }
  [[gnu::always_inline]] static I32 set1_i32(std::uint32_t x) { return {S::set1_i32(x), S::set1_i32(x)}; }
  [[gnu::always_inline]] static I32 add_i32(I32 x, I32 y) {
    return {S::add_i32(x.low, y.low), S::add_i32(x.high, y.high)};
  }
  [[gnu::always_inline]] static I32 sub_i32(I32 x, I32 y) {
    return {S::sub_i32(x.low, y.low), S::sub_i32(x.high, y.high)};
  }
  [[gnu::always_inline]] static I32 bit_xor(I32 x, I32 y) {
    return {S::bit_xor(x.low, y.low), S::bit_xor(x.high, y.high)};
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 shl(I32 v) {
    return {S::template shl<kCount>(v.low), S::template shl<kCount>(v.high)};
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 sar(I32 v) {
    return {S::template sar<kCount>(v.low), S::template sar<kCount>(v.high)};
  }
};

}  // namespace carat::loops
