// The register vocabulary of Arm's Advanced SIMD (64-bit Neon), in units of sixteen 32-bit lanes: four registers each.
// The loops in loops_*.h are written over these names; simd_avx2.h says what they mean. Only isa_neon_*.cpp may include
// this. Tag carries the name of the table, as two files compiled with different flags use it.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace carat {

template <typename Tag>
struct Neon {
  struct F32 {
    float32x4_t a, b, c, d;  // lanes 0 .. 3, 4 .. 7, 8 .. 11, 12 .. 15
  };
  struct I32 {
    int32x4_t a, b, c, d;
  };
  // Eight doubles.
  struct F64 {
    float64x2_t a, b, c, d;
  };
  // Four columns of 16 rows.
  struct Columns {
    I32 at[4];
  };
  static constexpr std::size_t kGemmTokens = 6;  // 24 sums, 4 weights and an activation of 32 registers
  static constexpr std::size_t kCacheSums = 4;
  static constexpr std::size_t kGemvTokens = 1;
  static constexpr std::size_t kGemvPasses = 1;

  // Sixteen rows, `stride` bytes apart.
  struct Rows {
    const std::byte* first;
    std::size_t stride;

    [[gnu::always_inline]] static Rows from(const std::byte* first, std::size_t stride) { return {first, stride}; }
    [[gnu::always_inline]] const std::byte* at(std::size_t row) const { return first + row * stride; }
    [[gnu::always_inline]] void advance(std::size_t bytes) { first += bytes; }
  };

  [[gnu::always_inline]] static F32 load(const float* p) {
    return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
  }
  [[gnu::always_inline]] static F32 load_part(const float* p, std::size_t n, F32 fill) {
    float lanes[16];
    store(lanes, fill);
    __builtin_memcpy(lanes, p, n * sizeof(*p));
    return load(lanes);
  }
  [[gnu::always_inline]] static void store(float* p, F32 v) {
    vst1q_f32(p, v.a);
    vst1q_f32(p + 4, v.b);
    vst1q_f32(p + 8, v.c);
    vst1q_f32(p + 12, v.d);
  }
  [[gnu::always_inline]] static void store_part(float* p, F32 v, std::size_t n) {
    float lanes[16];
    store(lanes, v);
    __builtin_memcpy(p, lanes, n * sizeof(*p));
  }
  [[gnu::always_inline]] static F32 keep_first(F32 v, std::size_t n) {
    float lanes[16] = {};
    store_part(lanes, v, n);
    return load(lanes);
  }

  [[gnu::always_inline]] static F32 set1(float x) {
    const float32x4_t v = vdupq_n_f32(x);
    return {v, v, v, v};
  }
  [[gnu::always_inline]] static F32 add(F32 x, F32 y) {
    return each(x, y, [](float32x4_t p, float32x4_t q) { return vaddq_f32(p, q); });
  }
  [[gnu::always_inline]] static F32 sub(F32 x, F32 y) {
    return each(x, y, [](float32x4_t p, float32x4_t q) { return vsubq_f32(p, q); });
  }
  [[gnu::always_inline]] static F32 mul(F32 x, F32 y) {
    return each(x, y, [](float32x4_t p, float32x4_t q) { return vmulq_f32(p, q); });
  }
  [[gnu::always_inline]] static F32 div(F32 x, F32 y) {
    return each(x, y, [](float32x4_t p, float32x4_t q) { return vdivq_f32(p, q); });
  }
  [[gnu::always_inline]] static F32 fma(F32 x, F32 y, F32 z) {
    return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d)};
  }
  [[gnu::always_inline]] static F32 fnma(F32 x, F32 y, F32 z) {
    return {vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b), vfmsq_f32(z.c, x.c, y.c), vfmsq_f32(z.d, x.d, y.d)};
  }
  // By comparison, since Arm's own minimum and maximum treat NaN differently: y where either is NaN.
  [[gnu::always_inline]] static F32 min(F32 x, F32 y) {
    return each(x, y, [](float32x4_t p, float32x4_t q) { return vbslq_f32(vcltq_f32(p, q), p, q); });
  }
  [[gnu::always_inline]] static F32 max(F32 x, F32 y) {
    return each(x, y, [](float32x4_t p, float32x4_t q) { return vbslq_f32(vcgtq_f32(p, q), p, q); });
  }

  [[gnu::always_inline]] static float fold_add(F32 v) {
    const float32x4_t four = vaddq_f32(vaddq_f32(v.a, v.c), vaddq_f32(v.b, v.d));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }
  [[gnu::always_inline]] static float fold_max(F32 v) {  // no lane is NaN: max() gave its second operand
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(v.a, v.c), vmaxq_f32(v.b, v.d)));
  }

  [[gnu::always_inline]] static I32 bits(F32 v) {
    return {vreinterpretq_s32_f32(v.a), vreinterpretq_s32_f32(v.b), vreinterpretq_s32_f32(v.c),
            vreinterpretq_s32_f32(v.d)};
  }
  [[gnu::always_inline]] static F32 floats(I32 v) {
    return {vreinterpretq_f32_s32(v.a), vreinterpretq_f32_s32(v.b), vreinterpretq_f32_s32(v.c),
            vreinterpretq_f32_s32(v.d)};
  }
  [[gnu::always_inline]] static F32 to_f32(I32 v) {
    return {vcvtq_f32_s32(v.a), vcvtq_f32_s32(v.b), vcvtq_f32_s32(v.c), vcvtq_f32_s32(v.d)};
  }
  [[gnu::always_inline]] static I32 round_to_i32(F32 v) {
    return {vcvtnq_s32_f32(v.a), vcvtnq_s32_f32(v.b), vcvtnq_s32_f32(v.c), vcvtnq_s32_f32(v.d)};
  }

  [[gnu::always_inline]] static I32 set1_i32(std::uint32_t x) {
    const int32x4_t v = vdupq_n_s32(static_cast<std::int32_t>(x));
    return {v, v, v, v};
  }
  [[gnu::always_inline]] static I32 load_i32(const void* p) {
    const auto* from = static_cast<const std::uint8_t*>(p);  // of any alignment
    return {words(vld1q_u8(from)), words(vld1q_u8(from + 16)), words(vld1q_u8(from + 32)), words(vld1q_u8(from + 48))};
  }
  [[gnu::always_inline]] static void store_i32(void* p, I32 v) {
    auto* to = static_cast<std::uint8_t*>(p);
    vst1q_u8(to, bytes(v.a));
    vst1q_u8(to + 16, bytes(v.b));
    vst1q_u8(to + 32, bytes(v.c));
    vst1q_u8(to + 48, bytes(v.d));
  }
  [[gnu::always_inline]] static I32 add_i32(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return vaddq_s32(p, q); });
  }
  [[gnu::always_inline]] static I32 sub_i32(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return vsubq_s32(p, q); });
  }
  [[gnu::always_inline]] static I32 mul_i32(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return vmulq_s32(p, q); });
  }
  [[gnu::always_inline]] static I32 max_i32(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return vmaxq_s32(p, q); });
  }
  [[gnu::always_inline]] static I32 greater_i32(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return vreinterpretq_s32_u32(vcgtq_s32(p, q)); });
  }
  [[gnu::always_inline]] static I32 bit_and(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return vandq_s32(p, q); });
  }
  [[gnu::always_inline]] static I32 bit_or(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return vorrq_s32(p, q); });
  }
  [[gnu::always_inline]] static I32 bit_xor(I32 x, I32 y) {
    return each(x, y, [](int32x4_t p, int32x4_t q) { return veorq_s32(p, q); });
  }
  [[gnu::always_inline]] static I32 select(I32 mask, I32 yes, I32 no) {
    return {
        vbslq_s32(vreinterpretq_u32_s32(mask.a), yes.a, no.a), vbslq_s32(vreinterpretq_u32_s32(mask.b), yes.b, no.b),
        vbslq_s32(vreinterpretq_u32_s32(mask.c), yes.c, no.c), vbslq_s32(vreinterpretq_u32_s32(mask.d), yes.d, no.d)};
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 shl(I32 v) {
    return {vshlq_n_s32(v.a, kCount), vshlq_n_s32(v.b, kCount), vshlq_n_s32(v.c, kCount), vshlq_n_s32(v.d, kCount)};
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 shr(I32 v) {
    if constexpr (kCount == 0) {  // right shifts by immediates begin at 1
      return v;
    } else {
      return {shr_quarter<kCount>(v.a), shr_quarter<kCount>(v.b), shr_quarter<kCount>(v.c), shr_quarter<kCount>(v.d)};
    }
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 sar(I32 v) {
    return {vshrq_n_s32(v.a, kCount), vshrq_n_s32(v.b, kCount), vshrq_n_s32(v.c, kCount), vshrq_n_s32(v.d, kCount)};
  }
  [[gnu::always_inline]] static I32 lookup(const std::uint8_t (&table)[16], I32 v) {
    const uint8x16_t t = vld1q_u8(table);
    return {words(vqtbl1q_u8(t, bytes(v.a))), words(vqtbl1q_u8(t, bytes(v.b))), words(vqtbl1q_u8(t, bytes(v.c))),
            words(vqtbl1q_u8(t, bytes(v.d)))};
  }
  [[gnu::always_inline]] static std::int32_t fold_add_i32(I32 v) {
    return vaddvq_s32(vaddq_s32(vaddq_s32(v.a, v.b), vaddq_s32(v.c, v.d)));
  }
  [[gnu::always_inline]] static std::int32_t fold_max_i32(I32 v) {
    return vmaxvq_s32(vmaxq_s32(vmaxq_s32(v.a, v.b), vmaxq_s32(v.c, v.d)));
  }

  [[gnu::always_inline]] static void store_low_8(std::int8_t* p, I32 v) {
    const int16x8_t low = vcombine_s16(vmovn_s32(v.a), vmovn_s32(v.b));
    const int16x8_t high = vcombine_s16(vmovn_s32(v.c), vmovn_s32(v.d));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  }
  [[gnu::always_inline]] static void store_low_16(std::uint16_t* p, I32 v) {
    vst1_u16(p, low_16(v.a));
    vst1_u16(p + 4, low_16(v.b));
    vst1_u16(p + 8, low_16(v.c));
    vst1_u16(p + 12, low_16(v.d));
  }
  [[gnu::always_inline]] static I32 load_16(const std::uint16_t* p) {
    return {wide_16(p), wide_16(p + 4), wide_16(p + 8), wide_16(p + 12)};
  }
  [[gnu::always_inline]] static I32 load_i8(const std::byte* p) {
    const int8x16_t all = vld1q_s8(reinterpret_cast<const std::int8_t*>(p));
    const int16x8_t low = vmovl_s8(vget_low_s8(all));
    const int16x8_t high = vmovl_s8(vget_high_s8(all));
    return {vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)), vmovl_s16(vget_low_s16(high)),
            vmovl_s16(vget_high_s16(high))};
  }
  [[gnu::always_inline]] static F32 load_f16(const std::uint16_t* p) {
    return {float_of(vld1_u16(p)), float_of(vld1_u16(p + 4)), float_of(vld1_u16(p + 8)), float_of(vld1_u16(p + 12))};
  }
  [[gnu::always_inline]] static void store_f16(std::uint16_t* p, F32 v) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v.a)));
    vst1_u16(p + 4, vreinterpret_u16_f16(vcvt_f16_f32(v.b)));
    vst1_u16(p + 8, vreinterpret_u16_f16(vcvt_f16_f32(v.c)));
    vst1_u16(p + 12, vreinterpret_u16_f16(vcvt_f16_f32(v.d)));
  }
  [[gnu::always_inline]] static F32 from_f16(I32 v) {
    return {float_of(low_16(v.a)), float_of(low_16(v.b)), float_of(low_16(v.c)), float_of(low_16(v.d))};
  }

  [[gnu::always_inline]] static F64 zero_f64() {
    const float64x2_t zero = vdupq_n_f64(0);
    return {zero, zero, zero, zero};
  }
  [[gnu::always_inline]] static F64 add_squares(F64 sum, const float* p) {
    return add_squares(sum, vld1q_f32(p), vld1q_f32(p + 4));
  }
  [[gnu::always_inline]] static F64 add_squares_part(F64 sum, const float* p, std::size_t n) {
    float lanes[8] = {};
    __builtin_memcpy(lanes, p, n * sizeof(*p));
    return add_squares(sum, vld1q_f32(lanes), vld1q_f32(lanes + 4));
  }
  [[gnu::always_inline]] static void store_f64(double* p, F64 v) {
    vst1q_f64(p, v.a);
    vst1q_f64(p + 2, v.b);
    vst1q_f64(p + 4, v.c);
    vst1q_f64(p + 6, v.d);
  }

  [[gnu::always_inline]] static Columns load_rows(const Rows& rows, std::size_t offset) {
    const Quarter a = load_quarter(rows, 0, offset);
    const Quarter b = load_quarter(rows, 4, offset);
    const Quarter c = load_quarter(rows, 8, offset);
    const Quarter d = load_quarter(rows, 12, offset);
    return {{{a.at[0], b.at[0], c.at[0], d.at[0]},
             {a.at[1], b.at[1], c.at[1], d.at[1]},
             {a.at[2], b.at[2], c.at[2], d.at[2]},
             {a.at[3], b.at[3], c.at[3], d.at[3]}}};
  }
  [[gnu::always_inline]] static F32 load_f16_column(const Rows& rows, std::size_t offset) {
    return {float_of(halves_of(rows, 0, offset)), float_of(halves_of(rows, 4, offset)),
            float_of(halves_of(rows, 8, offset)), float_of(halves_of(rows, 12, offset))};
  }
  [[gnu::always_inline]] static I32 load_32_column(const Rows& rows, std::size_t offset) {
    return {words_of(rows, 0, offset), words_of(rows, 4, offset), words_of(rows, 8, offset),
            words_of(rows, 12, offset)};
  }
  [[gnu::always_inline]] static I32 load_first_column(const Rows& rows, std::size_t offset) {
    return load_32_column(rows, offset);
  }
  [[gnu::always_inline]] static F32 load_scales(const Rows& rows) { return load_f16_column(rows, 0); }

  [[gnu::always_inline]] static void prefetch(const std::byte* p) {
    __builtin_prefetch(p, 0, 2);  // into the second-level cache
  }

 private:
  // Four columns of four rows.
  struct Quarter {
    int32x4_t at[4];
  };

  template <typename F>
  [[gnu::always_inline]] static F32 each(F32 x, F32 y, const F& f) {
    return {f(x.a, y.a), f(x.b, y.b), f(x.c, y.c), f(x.d, y.d)};
  }
  template <typename F>
  [[gnu::always_inline]] static I32 each(I32 x, I32 y, const F& f) {
    return {f(x.a, y.a), f(x.b, y.b), f(x.c, y.c), f(x.d, y.d)};
  }
  template <int kCount>
  [[gnu::always_inline]] static int32x4_t shr_quarter(int32x4_t v) {
    return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(v), kCount));
  }
  [[gnu::always_inline]] static int32x4_t words(uint8x16_t v) { return vreinterpretq_s32_u8(v); }
  [[gnu::always_inline]] static uint8x16_t bytes(int32x4_t v) { return vreinterpretq_u8_s32(v); }
  [[gnu::always_inline]] static uint16x4_t low_16(int32x4_t v) { return vmovn_u32(vreinterpretq_u32_s32(v)); }
  [[gnu::always_inline]] static int32x4_t wide_16(const std::uint16_t* p) {
    return vreinterpretq_s32_u32(vmovl_u16(vld1_u16(p)));
  }
  [[gnu::always_inline]] static float32x4_t float_of(uint16x4_t halves) {
    return vcvt_f32_f16(vreinterpret_f16_u16(halves));
  }
  [[gnu::always_inline]] static F64 add_squares(F64 sum, float32x4_t x, float32x4_t y) {
    const float64x2_t a = vcvt_f64_f32(vget_low_f32(x));
    const float64x2_t b = vcvt_high_f64_f32(x);
    const float64x2_t c = vcvt_f64_f32(vget_low_f32(y));
    const float64x2_t d = vcvt_high_f64_f32(y);
    return {vfmaq_f64(sum.a, a, a), vfmaq_f64(sum.b, b, b), vfmaq_f64(sum.c, c, c), vfmaq_f64(sum.d, d, d)};
  }
  [[gnu::always_inline]] static int32x4_t load_row(const Rows& rows, std::size_t row, std::size_t offset) {
    return words(vld1q_u8(reinterpret_cast<const std::uint8_t*>(rows.at(row) + offset)));
  }
  // A 4 x 4 transpose of words.
  [[gnu::always_inline]] static Quarter load_quarter(const Rows& rows, std::size_t row, std::size_t offset) {
    const int32x4_t r0 = load_row(rows, row, offset);
    const int32x4_t r1 = load_row(rows, row + 1, offset);
    const int32x4_t r2 = load_row(rows, row + 2, offset);
    const int32x4_t r3 = load_row(rows, row + 3, offset);
    const int64x2_t even01 = vreinterpretq_s64_s32(vtrn1q_s32(r0, r1));
    const int64x2_t odd01 = vreinterpretq_s64_s32(vtrn2q_s32(r0, r1));
    const int64x2_t even23 = vreinterpretq_s64_s32(vtrn1q_s32(r2, r3));
    const int64x2_t odd23 = vreinterpretq_s64_s32(vtrn2q_s32(r2, r3));
    return {{vreinterpretq_s32_s64(vtrn1q_s64(even01, even23)), vreinterpretq_s32_s64(vtrn1q_s64(odd01, odd23)),
             vreinterpretq_s32_s64(vtrn2q_s64(even01, even23)), vreinterpretq_s32_s64(vtrn2q_s64(odd01, odd23))}};
  }
  // Value of the type at that place in each of four rows.
  template <typename T>
  [[gnu::always_inline]] static T value_at(const Rows& rows, std::size_t row, std::size_t offset) {
    T value;
    __builtin_memcpy(&value, rows.at(row) + offset, sizeof(value));
    return value;
  }
  [[gnu::always_inline]] static uint16x4_t halves_of(const Rows& rows, std::size_t row, std::size_t offset) {
    uint16x4_t v = vdup_n_u16(value_at<std::uint16_t>(rows, row, offset));
    v = vset_lane_u16(value_at<std::uint16_t>(rows, row + 1, offset), v, 1);
    v = vset_lane_u16(value_at<std::uint16_t>(rows, row + 2, offset), v, 2);
    return vset_lane_u16(value_at<std::uint16_t>(rows, row + 3, offset), v, 3);
  }
  [[gnu::always_inline]] static int32x4_t words_of(const Rows& rows, std::size_t row, std::size_t offset) {
    int32x4_t v = vdupq_n_s32(value_at<std::int32_t>(rows, row, offset));
    v = vsetq_lane_s32(value_at<std::int32_t>(rows, row + 1, offset), v, 1);
    v = vsetq_lane_s32(value_at<std::int32_t>(rows, row + 2, offset), v, 2);
    return vsetq_lane_s32(value_at<std::int32_t>(rows, row + 3, offset), v, 3);
  }
};

// The two tables that use it.
struct NeonDotprod : Neon<NeonDotprod> {};
struct NeonI8mm : Neon<NeonI8mm> {};

}  // namespace carat
