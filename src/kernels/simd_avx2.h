// The register vocabulary of AVX2 with FMA and F16C, in units of sixteen 32-bit lanes: two registers each. The loops in
// loops_*.h are written over these names. Only isa_avx2.cpp may include this.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace carat {

struct Avx2 {
  struct F32 {
    __m256 a, b;  // lanes 0 .. 7, 8 .. 15
  };
  struct I32 {
    __m256i a, b;
  };
  // Eight doubles.
  struct F64 {
    __m256d a, b;
  };
  // Four columns of 16 rows.
  struct Columns {
    I32 at[4];
  };
  static constexpr std::size_t kGemmTokens = 6;  // 12 sums, 2 weights and an activation of 16 registers
  static constexpr std::size_t kCacheSums = 4;   // in registers, when queries meet keys and values
  static constexpr std::size_t kGemvTokens = 4;  // that meet weights in registers (loops_gemv.h)
  static constexpr std::size_t kGemvPasses = 1;

  // Sixteen rows, `stride` bytes apart.
  struct Rows {
    const std::byte* quarter[4];  // rows 0, 4, 8, 12
    std::size_t stride, stride3;

    [[gnu::always_inline]] static Rows from(const std::byte* first, std::size_t stride) {
      return {{first, first + 4 * stride, first + 8 * stride, first + 12 * stride}, stride, 3 * stride};
    }
    [[gnu::always_inline]] const std::byte* at(std::size_t row) const {
      return quarter[row / 4] + (row % 4 == 3 ? stride3 : row % 4 * stride);
    }
    [[gnu::always_inline]] void advance(std::size_t bytes) {
      for (auto& p : quarter) p += bytes;
    }
  };

  // Whole lanes, or the first n < 16 of them; the others read as `fill` and are not written.
  [[gnu::always_inline]] static F32 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  [[gnu::always_inline]] static F32 load_part(const float* p, std::size_t n, F32 fill) {
    const I32 mask = first_lanes(n);
    const __m256 a = _mm256_maskload_ps(p, mask.a);
    const __m256 b = n > 8 ? _mm256_maskload_ps(p + 8, mask.b) : _mm256_setzero_ps();
    return {_mm256_blendv_ps(fill.a, a, _mm256_castsi256_ps(mask.a)),
            _mm256_blendv_ps(fill.b, b, _mm256_castsi256_ps(mask.b))};
  }
  [[gnu::always_inline]] static void store(float* p, F32 v) {
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
  }
  [[gnu::always_inline]] static void store_part(float* p, F32 v, std::size_t n) {
    const I32 mask = first_lanes(n);
    _mm256_maskstore_ps(p, mask.a, v.a);
    if (n > 8) _mm256_maskstore_ps(p + 8, mask.b, v.b);
  }
  [[gnu::always_inline]] static F32 keep_first(F32 v, std::size_t n) {
    return floats(bit_and(bits(v), first_lanes(n)));
  }

  [[gnu::always_inline]] static F32 set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  [[gnu::always_inline]] static F32 add(F32 x, F32 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  [[gnu::always_inline]] static F32 sub(F32 x, F32 y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  [[gnu::always_inline]] static F32 mul(F32 x, F32 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  [[gnu::always_inline]] static F32 div(F32 x, F32 y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  // x y + z, and z - x y.
  [[gnu::always_inline]] static F32 fma(F32 x, F32 y, F32 z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  [[gnu::always_inline]] static F32 fnma(F32 x, F32 y, F32 z) {
    return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
  }
  // y where either is NaN.
  [[gnu::always_inline]] static F32 min(F32 x, F32 y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  [[gnu::always_inline]] static F32 max(F32 x, F32 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }

  // Lanes i and i + 8, 4, 2, 1 folded in turn by add or max.
  [[gnu::always_inline]] static float fold_add(F32 v) {
    const __m256 eight = _mm256_add_ps(v.a, v.b);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  [[gnu::always_inline]] static float fold_max(F32 v) {
    const __m256 eight = _mm256_max_ps(v.a, v.b);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  [[gnu::always_inline]] static I32 bits(F32 v) { return {_mm256_castps_si256(v.a), _mm256_castps_si256(v.b)}; }
  [[gnu::always_inline]] static F32 floats(I32 v) { return {_mm256_castsi256_ps(v.a), _mm256_castsi256_ps(v.b)}; }
  [[gnu::always_inline]] static F32 to_f32(I32 v) { return {_mm256_cvtepi32_ps(v.a), _mm256_cvtepi32_ps(v.b)}; }
  [[gnu::always_inline]] static I32 round_to_i32(F32 v) { return {_mm256_cvtps_epi32(v.a), _mm256_cvtps_epi32(v.b)}; }

  [[gnu::always_inline]] static I32 set1_i32(std::uint32_t x) {
    const __m256i v = _mm256_set1_epi32(static_cast<int>(x));
    return {v, v};
  }
  [[gnu::always_inline]] static I32 load_i32(const void* p) {
    const auto* from = static_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)};
  }
  [[gnu::always_inline]] static void store_i32(void* p, I32 v) {
    auto* to = static_cast<__m256i*>(p);
    _mm256_storeu_si256(to, v.a);
    _mm256_storeu_si256(to + 1, v.b);
  }
  [[gnu::always_inline]] static I32 add_i32(I32 x, I32 y) {
    return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
  }
  [[gnu::always_inline]] static I32 sub_i32(I32 x, I32 y) {
    return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)};
  }
  [[gnu::always_inline]] static I32 mul_i32(I32 x, I32 y) {
    return {_mm256_mullo_epi32(x.a, y.a), _mm256_mullo_epi32(x.b, y.b)};
  }
  [[gnu::always_inline]] static I32 max_i32(I32 x, I32 y) {
    return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)};
  }
  // All ones where x > y, as signed integers.
  [[gnu::always_inline]] static I32 greater_i32(I32 x, I32 y) {
    return {_mm256_cmpgt_epi32(x.a, y.a), _mm256_cmpgt_epi32(x.b, y.b)};
  }
  [[gnu::always_inline]] static I32 bit_and(I32 x, I32 y) {
    return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)};
  }
  [[gnu::always_inline]] static I32 bit_or(I32 x, I32 y) {
    return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)};
  }
  [[gnu::always_inline]] static I32 bit_xor(I32 x, I32 y) {
    return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)};
  }
  // yes where mask is ones, no where it is zeros.
  [[gnu::always_inline]] static I32 select(I32 mask, I32 yes, I32 no) {
    return {_mm256_blendv_epi8(no.a, yes.a, mask.a), _mm256_blendv_epi8(no.b, yes.b, mask.b)};
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 shl(I32 v) {
    return {_mm256_slli_epi32(v.a, kCount), _mm256_slli_epi32(v.b, kCount)};
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 shr(I32 v) {
    return {_mm256_srli_epi32(v.a, kCount), _mm256_srli_epi32(v.b, kCount)};
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 sar(I32 v) {
    return {_mm256_srai_epi32(v.a, kCount), _mm256_srai_epi32(v.b, kCount)};
  }
  // Each byte of v, 0 .. 15, replaced by that byte of the table.
  [[gnu::always_inline]] static I32 lookup(const std::uint8_t (&table)[16], I32 v) {
    const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
    return {_mm256_shuffle_epi8(t, v.a), _mm256_shuffle_epi8(t, v.b)};
  }
  [[gnu::always_inline]] static std::int32_t fold_add_i32(I32 v) {
    __m256i eight = _mm256_add_epi32(v.a, v.b);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  }
  [[gnu::always_inline]] static std::int32_t fold_max_i32(I32 v) {
    __m256i eight = _mm256_max_epi32(v.a, v.b);
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  }

  // The lower 8 bits of lanes in -128 .. 127; the lower 16 of lanes in 0 .. 65535.
  [[gnu::always_inline]] static void store_low_8(std::int8_t* p, I32 v) {
    const __m128i low = _mm_packs_epi32(_mm256_castsi256_si128(v.a), _mm256_extracti128_si256(v.a, 1));
    const __m128i high = _mm_packs_epi32(_mm256_castsi256_si128(v.b), _mm256_extracti128_si256(v.b, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(low, high));
  }
  [[gnu::always_inline]] static void store_low_16(std::uint16_t* p, I32 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), pack_16(v));
  }
  [[gnu::always_inline]] static I32 load_16(const std::uint16_t* p) {
    const auto* from = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtepu16_epi32(_mm_loadu_si128(from)), _mm256_cvtepu16_epi32(_mm_loadu_si128(from + 1))};
  }
  // Sixteen signed bytes.
  [[gnu::always_inline]] static I32 load_i8(const std::byte* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
  }
  [[gnu::always_inline]] static F32 load_f16(const std::uint16_t* p) {
    const auto* from = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(from)), _mm256_cvtph_ps(_mm_loadu_si128(from + 1))};
  }
  [[gnu::always_inline]] static void store_f16(std::uint16_t* p, F32 v) {
    auto* to = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(to, _mm256_cvtps_ph(v.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(to + 1, _mm256_cvtps_ph(v.b, _MM_FROUND_TO_NEAREST_INT));
  }
  // From lanes that hold an f16 each, 0 .. 65535.
  [[gnu::always_inline]] static F32 from_f16(I32 v) {
    const __m256i packed = pack_16(v);
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(packed)), _mm256_cvtph_ps(_mm256_extracti128_si256(packed, 1))};
  }

  [[gnu::always_inline]] static F64 zero_f64() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  // sum + x^2 in double, for the 8 floats at p.
  [[gnu::always_inline]] static F64 add_squares(F64 sum, const float* p) {
    return add_squares(sum, _mm256_loadu_ps(p));
  }
  [[gnu::always_inline]] static F64 add_squares_part(F64 sum, const float* p, std::size_t n) {
    return add_squares(sum, _mm256_maskload_ps(p, first_lanes(n).a));
  }
  [[gnu::always_inline]] static void store_f64(double* p, F64 v) {
    _mm256_storeu_pd(p, v.a);
    _mm256_storeu_pd(p + 4, v.b);
  }

  // 16 bytes of each row, `offset` bytes into it: at[i] holds bytes 4 i .. 4 i + 3 of the 16 rows.
  [[gnu::always_inline]] static Columns load_rows(const Rows& rows, std::size_t offset) {
    const Half low = load_half(rows, 0, offset);
    const Half high = load_half(rows, 8, offset);
    return {{{low.at[0], high.at[0]}, {low.at[1], high.at[1]}, {low.at[2], high.at[2]}, {low.at[3], high.at[3]}}};
  }
  // The first four of 16 bytes of each row.
  [[gnu::always_inline]] static I32 load_first_column(const Rows& rows, std::size_t offset) {
    return load_rows(rows, offset).at[0];
  }
  // The f16 of each row, of which 16 bytes may be read.
  [[gnu::always_inline]] static F32 load_scales(const Rows& rows) {
    return from_f16(bit_and(load_first_column(rows, 0), set1_i32(0xffff)));
  }
  // One number of each row.
  [[gnu::always_inline]] static F32 load_f16_column(const Rows& rows, std::size_t offset) {
    return {_mm256_cvtph_ps(load_16_column(rows, 0, offset)), _mm256_cvtph_ps(load_16_column(rows, 8, offset))};
  }
  [[gnu::always_inline]] static I32 load_32_column(const Rows& rows, std::size_t offset) {
    return {_mm256_set_m128i(load_32_column(rows, 4, offset), load_32_column(rows, 0, offset)),
            _mm256_set_m128i(load_32_column(rows, 12, offset), load_32_column(rows, 8, offset))};
  }

  // Into the second-level cache. Not by the intrinsic: GCC moves those of a block in front of all its loads, which then
  // wait for them (Q6_K, one token: 11 in place of 24 GB/s on a core of a Zen 4).
  [[gnu::always_inline]] static void prefetch(const std::byte* p) { asm volatile("prefetcht1 %0" : : "m"(*p)); }

 private:
  // Four columns of 8 rows.
  struct Half {
    __m256i at[4];
  };

  [[gnu::always_inline]] static I32 first_lanes(std::size_t n) {
    const __m256i count = _mm256_set1_epi32(static_cast<int>(n));
    return {_mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
            _mm256_cmpgt_epi32(count, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
  }
  [[gnu::always_inline]] static F64 add_squares(F64 sum, __m256 x) {
    const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
    const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    return {_mm256_fmadd_pd(low, low, sum.a), _mm256_fmadd_pd(high, high, sum.b)};
  }
  [[gnu::always_inline]] static __m256i pack_16(I32 v) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(v.a, v.b), 0xd8);
  }
  [[gnu::always_inline]] static __m256i load_row_pair(const Rows& rows, std::size_t row, std::size_t offset) {
    const auto* low = reinterpret_cast<const __m128i*>(rows.at(row) + offset);
    const auto* high = reinterpret_cast<const __m128i*>(rows.at(row + 4) + offset);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
  }
  // Rows 0 .. 3 lie in the lower and rows 4 .. 7 in the upper halves of four registers: 4 x 4 transposes in each half.
  [[gnu::always_inline]] static Half load_half(const Rows& rows, std::size_t row, std::size_t offset) {
    const __m256i r0 = load_row_pair(rows, row, offset);
    const __m256i r1 = load_row_pair(rows, row + 1, offset);
    const __m256i r2 = load_row_pair(rows, row + 2, offset);
    const __m256i r3 = load_row_pair(rows, row + 3, offset);
    const __m256i low01 = _mm256_unpacklo_epi32(r0, r1);
    const __m256i low23 = _mm256_unpacklo_epi32(r2, r3);
    const __m256i high01 = _mm256_unpackhi_epi32(r0, r1);
    const __m256i high23 = _mm256_unpackhi_epi32(r2, r3);
    return {{_mm256_unpacklo_epi64(low01, low23), _mm256_unpackhi_epi64(low01, low23),
             _mm256_unpacklo_epi64(high01, high23), _mm256_unpackhi_epi64(high01, high23)}};
  }
  [[gnu::always_inline]] static int half_at(const Rows& rows, std::size_t row, std::size_t offset) {
    std::uint16_t value;
    __builtin_memcpy(&value, rows.at(row) + offset, sizeof(value));
    return value;
  }
  [[gnu::always_inline]] static int word_at(const Rows& rows, std::size_t row, std::size_t offset) {
    int value;
    __builtin_memcpy(&value, rows.at(row) + offset, sizeof(value));
    return value;
  }
  [[gnu::always_inline]] static __m128i load_16_column(const Rows& rows, std::size_t row, std::size_t offset) {
    __m128i v = _mm_cvtsi32_si128(half_at(rows, row, offset));
    v = _mm_insert_epi16(v, half_at(rows, row + 1, offset), 1);
    v = _mm_insert_epi16(v, half_at(rows, row + 2, offset), 2);
    v = _mm_insert_epi16(v, half_at(rows, row + 3, offset), 3);
    v = _mm_insert_epi16(v, half_at(rows, row + 4, offset), 4);
    v = _mm_insert_epi16(v, half_at(rows, row + 5, offset), 5);
    v = _mm_insert_epi16(v, half_at(rows, row + 6, offset), 6);
    return _mm_insert_epi16(v, half_at(rows, row + 7, offset), 7);
  }
  [[gnu::always_inline]] static __m128i load_32_column(const Rows& rows, std::size_t row, std::size_t offset) {
    __m128i v = _mm_cvtsi32_si128(word_at(rows, row, offset));
    v = _mm_insert_epi32(v, word_at(rows, row + 1, offset), 1);
    v = _mm_insert_epi32(v, word_at(rows, row + 2, offset), 2);
    return _mm_insert_epi32(v, word_at(rows, row + 3, offset), 3);
  }
};

}  // namespace carat
