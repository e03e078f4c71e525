// The register vocabulary of AVX-512 (F, BW, DQ, VL): sixteen 32-bit lanes are one register. The loops in loops_*.h are
// written over these names; simd_avx2.h says what they mean. Only isa_avx512_vnni.cpp may include this.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace carat {

struct Avx512 {
  using F32 = __m512;
  using I32 = __m512i;
  using F64 = __m512d;
  struct Columns {
    I32 at[4];
  };
  // Twice as many would fit the registers, but eight hide the latency of a sum; and tokens a multiple of 4096 bytes
  // apart share a set of the first-level cache, which often has eight ways.
  static constexpr std::size_t kGemmTokens = 8;
  static constexpr std::size_t kCacheSums = 16;  // in registers, when queries meet keys and values
  static constexpr std::size_t kGemvTokens = 8;
  static constexpr std::size_t kGemvPasses = 2;

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

  [[gnu::always_inline]] static F32 load(const float* p) { return _mm512_loadu_ps(p); }
  [[gnu::always_inline]] static F32 load_part(const float* p, std::size_t n, F32 fill) {
    return _mm512_mask_loadu_ps(fill, first_lanes(n), p);
  }
  [[gnu::always_inline]] static void store(float* p, F32 v) { _mm512_storeu_ps(p, v); }
  [[gnu::always_inline]] static void store_part(float* p, F32 v, std::size_t n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
  }
  [[gnu::always_inline]] static F32 keep_first(F32 v, std::size_t n) { return _mm512_maskz_mov_ps(first_lanes(n), v); }

  [[gnu::always_inline]] static F32 set1(float x) { return _mm512_set1_ps(x); }
  [[gnu::always_inline]] static F32 add(F32 x, F32 y) { return _mm512_add_ps(x, y); }
  [[gnu::always_inline]] static F32 sub(F32 x, F32 y) { return _mm512_sub_ps(x, y); }
  [[gnu::always_inline]] static F32 mul(F32 x, F32 y) { return _mm512_mul_ps(x, y); }
  [[gnu::always_inline]] static F32 div(F32 x, F32 y) { return _mm512_div_ps(x, y); }
  [[gnu::always_inline]] static F32 fma(F32 x, F32 y, F32 z) { return _mm512_fmadd_ps(x, y, z); }
  [[gnu::always_inline]] static F32 fnma(F32 x, F32 y, F32 z) { return _mm512_fnmadd_ps(x, y, z); }
  [[gnu::always_inline]] static F32 min(F32 x, F32 y) { return _mm512_min_ps(x, y); }
  [[gnu::always_inline]] static F32 max(F32 x, F32 y) { return _mm512_max_ps(x, y); }

  [[gnu::always_inline]] static float fold_add(F32 v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  // fold_add of each: at every step two registers become one that holds the half-folded lanes of both.
  [[gnu::always_inline]] static void fold_sixteen(const F32 (&v)[16], float (&out)[16]) {
    F32 eights[8], fours[4], twos[2];
    for (int i = 0; i < 8; ++i) {
      eights[i] = _mm512_add_ps(_mm512_shuffle_f32x4(v[i], v[i + 8], 0x44), _mm512_shuffle_f32x4(v[i], v[i + 8], 0xee));
    }
    for (int i = 0; i < 4; ++i) {
      fours[i] = _mm512_add_ps(_mm512_shuffle_f32x4(eights[i], eights[i + 4], 0x88),
                               _mm512_shuffle_f32x4(eights[i], eights[i + 4], 0xdd));
    }
    for (int i = 0; i < 2; ++i) {
      const __m512d a = _mm512_castps_pd(fours[i]);
      const __m512d b = _mm512_castps_pd(fours[i + 2]);
      twos[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    const F32 sums =
        _mm512_add_ps(_mm512_shuffle_ps(twos[0], twos[1], 0x88), _mm512_shuffle_ps(twos[0], twos[1], 0xdd));
    const I32 order = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
    store(out, _mm512_permutexvar_ps(order, sums));
  }
  [[gnu::always_inline]] static float fold_max(F32 v) {
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  [[gnu::always_inline]] static I32 bits(F32 v) { return _mm512_castps_si512(v); }
  [[gnu::always_inline]] static F32 floats(I32 v) { return _mm512_castsi512_ps(v); }
  [[gnu::always_inline]] static F32 to_f32(I32 v) { return _mm512_cvtepi32_ps(v); }
  [[gnu::always_inline]] static I32 round_to_i32(F32 v) { return _mm512_cvtps_epi32(v); }

  [[gnu::always_inline]] static I32 set1_i32(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  [[gnu::always_inline]] static I32 load_i32(const void* p) { return _mm512_loadu_si512(p); }
  [[gnu::always_inline]] static void store_i32(void* p, I32 v) { _mm512_storeu_si512(p, v); }
  [[gnu::always_inline]] static I32 add_i32(I32 x, I32 y) { return _mm512_add_epi32(x, y); }
  [[gnu::always_inline]] static I32 sub_i32(I32 x, I32 y) { return _mm512_sub_epi32(x, y); }
  [[gnu::always_inline]] static I32 mul_i32(I32 x, I32 y) { return _mm512_mullo_epi32(x, y); }
  [[gnu::always_inline]] static I32 max_i32(I32 x, I32 y) { return _mm512_max_epi32(x, y); }
  [[gnu::always_inline]] static I32 greater_i32(I32 x, I32 y) {
    return _mm512_movm_epi32(_mm512_cmpgt_epi32_mask(x, y));
  }
  [[gnu::always_inline]] static I32 bit_and(I32 x, I32 y) { return _mm512_and_si512(x, y); }
  [[gnu::always_inline]] static I32 bit_or(I32 x, I32 y) { return _mm512_or_si512(x, y); }
  [[gnu::always_inline]] static I32 bit_xor(I32 x, I32 y) { return _mm512_xor_si512(x, y); }
  [[gnu::always_inline]] static I32 select(I32 mask, I32 yes, I32 no) {
    return _mm512_ternarylogic_epi32(mask, yes, no, 0xca);
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 shl(I32 v) {
    return _mm512_slli_epi32(v, kCount);
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 shr(I32 v) {
    return _mm512_srli_epi32(v, kCount);
  }
  template <int kCount>
  [[gnu::always_inline]] static I32 sar(I32 v) {
    return _mm512_srai_epi32(v, kCount);
  }
  [[gnu::always_inline]] static I32 lookup(const std::uint8_t (&table)[16], I32 v) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), v);
  }
  [[gnu::always_inline]] static std::int32_t fold_add_i32(I32 v) { return _mm512_reduce_add_epi32(v); }
  [[gnu::always_inline]] static std::int32_t fold_max_i32(I32 v) { return _mm512_reduce_max_epi32(v); }

  [[gnu::always_inline]] static void store_low_8(std::int8_t* p, I32 v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
  }
  [[gnu::always_inline]] static void store_low_16(std::uint16_t* p, I32 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(v));
  }
  [[gnu::always_inline]] static I32 load_16(const std::uint16_t* p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  [[gnu::always_inline]] static I32 load_i8(const std::byte* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  [[gnu::always_inline]] static F32 load_f16(const std::uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  [[gnu::always_inline]] static void store_f16(std::uint16_t* p, F32 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  [[gnu::always_inline]] static F32 from_f16(I32 v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }

  [[gnu::always_inline]] static F64 zero_f64() { return _mm512_setzero_pd(); }
  [[gnu::always_inline]] static F64 add_squares(F64 sum, const float* p) {
    return add_squares(sum, _mm256_loadu_ps(p));
  }
  [[gnu::always_inline]] static F64 add_squares_part(F64 sum, const float* p, std::size_t n) {
    return add_squares(sum, _mm256_maskz_loadu_ps(static_cast<__mmask8>(first_lanes(n)), p));
  }
  [[gnu::always_inline]] static void store_f64(double* p, F64 v) { _mm512_storeu_pd(p, v); }

  [[gnu::always_inline]] static Columns load_rows(const Rows& rows, std::size_t offset) {
    const __m512i r0 = load_row_quads(rows, 0, offset);
    const __m512i r1 = load_row_quads(rows, 1, offset);
    const __m512i r2 = load_row_quads(rows, 2, offset);
    const __m512i r3 = load_row_quads(rows, 3, offset);
    const __m512i low01 = _mm512_unpacklo_epi32(r0, r1);
    const __m512i low23 = _mm512_unpacklo_epi32(r2, r3);
    const __m512i high01 = _mm512_unpackhi_epi32(r0, r1);
    const __m512i high23 = _mm512_unpackhi_epi32(r2, r3);
    return {{_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
             _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)}};
  }
  // Untransposed: at[i] holds the 16 bytes of rows i, i + 4, i + 8 and i + 12.
  [[gnu::always_inline]] static Columns load_rows_as_they_lie(const Rows& rows, std::size_t offset) {
    return {{load_row_quads(rows, 0, offset), load_row_quads(rows, 1, offset), load_row_quads(rows, 2, offset),
             load_row_quads(rows, 3, offset)}};
  }
  // The sums of each row's four lanes, of which a holds those of rows 0, 4, 8 and 12, b those of 1, 5, 9, 13, and so
  // on.
  [[gnu::always_inline]] static I32 fold_rows(I32 a, I32 b, I32 c, I32 d) {
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  }
  // 16 bytes, four times.
  [[gnu::always_inline]] static I32 load_sixteen(const void* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  [[gnu::always_inline]] static I32 load_first_column(const Rows& rows, std::size_t offset) {
    return load_32_column(rows, offset);
  }
  [[gnu::always_inline]] static F32 load_scales(const Rows& rows) { return load_f16_column(rows, 0); }
  [[gnu::always_inline]] static F32 load_f16_column(const Rows& rows, std::size_t offset) {
    return _mm512_cvtph_ps(_mm256_set_m128i(load_16_column(rows, 8, offset), load_16_column(rows, 0, offset)));
  }
  [[gnu::always_inline]] static I32 load_32_column(const Rows& rows, std::size_t offset) {
    const __m256i low = _mm256_set_m128i(load_32_column(rows, 4, offset), load_32_column(rows, 0, offset));
    const __m256i high = _mm256_set_m128i(load_32_column(rows, 12, offset), load_32_column(rows, 8, offset));
    return _mm512_inserti32x8(_mm512_castsi256_si512(low), high, 1);
  }

  [[gnu::always_inline]] static void prefetch(const std::byte* p) { asm volatile("prefetcht1 %0" : : "m"(*p)); }

 private:
  [[gnu::always_inline]] static __mmask16 first_lanes(std::size_t n) { return static_cast<__mmask16>((1U << n) - 1U); }
  [[gnu::always_inline]] static F64 add_squares(F64 sum, __m256 x) {
    const __m512d wide = _mm512_cvtps_pd(x);
    return _mm512_fmadd_pd(wide, wide, sum);
  }
  [[gnu::always_inline]] static __m128i load_row(const Rows& rows, std::size_t row, std::size_t offset) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.at(row) + offset));
  }
  // Rows row, row + 4, row + 8, row + 12. By halves: where the units are half as wide as a register (Zen 4), to move
  // into half of one takes half as long (one token and Q4_K, weights in the cache: 28.2 to 31.9 GB/s).
  [[gnu::always_inline]] static __m512i load_row_quads(const Rows& rows, std::size_t row, std::size_t offset) {
    const __m256i low = _mm256_set_m128i(load_row(rows, row + 4, offset), load_row(rows, row, offset));
    const __m256i high = _mm256_set_m128i(load_row(rows, row + 12, offset), load_row(rows, row + 8, offset));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
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
