// panel_gemm_i8 by vpmaddubsw (AVX2): unsigned times signed bytes, added in pairs into 16 bits with saturation.
//
// A pair of products is at most 2 * max_code * 127, so that sums of kRun pairs stay exact in 16 bits with
// kRun * 2 * max_code * 127 <= 32767: 8 for codes up to 15, 4 up to 31, 2 up to 63. Codes above 127 are turned into
// code - 128, whose sign moves over to the activation: 2 * 128 * 127 = 32512 fits.
#pragma once

#include "kernels/loops_gemm.h"
#include "kernels/simd_avx2.h"

namespace carat::loops {

// For gemv_i8 (loops_gemv.h).
template <std::uint8_t kMaxCode>
struct Avx2Dot {
  static constexpr bool kIsSigned = kMaxCode > 127;
  static constexpr bool kFits16 = kMaxCode <= 15;  // the sum of a whole group's pairs
  static constexpr std::int32_t kCodeShift = kIsSigned ? 128 : 0;
  Avx2::I32 sum;
  Avx2::I32 pairs;  // of 16 bits, where a group's fit

  [[gnu::always_inline]] void start(std::int32_t value) {
    sum = Avx2::set1_i32(static_cast<std::uint32_t>(value));
    pairs = Avx2::set1_i32(0);
  }
  [[gnu::always_inline]] void add(Avx2::I32 codes, std::int32_t four) {
    __m256i a = _mm256_set1_epi32(four);
    __m256i b = a;
    if constexpr (kIsSigned) {
      const Avx2::I32 signs = Avx2::bit_xor(codes, Avx2::set1_i32(0x80808080U));
      codes = {_mm256_abs_epi8(signs.a), _mm256_abs_epi8(signs.b)};
      b = _mm256_sign_epi8(a, signs.b);
      a = _mm256_sign_epi8(a, signs.a);
    }
    a = _mm256_maddubs_epi16(codes.a, a);
    b = _mm256_maddubs_epi16(codes.b, b);
    if constexpr (kFits16) {
      pairs = {_mm256_add_epi16(pairs.a, a), _mm256_add_epi16(pairs.b, b)};
    } else {
      const __m256i ones = _mm256_set1_epi16(1);
      sum = Avx2::add_i32(sum, {_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones)});
    }
  }
  [[gnu::always_inline]] Avx2::I32 result() const {
    if constexpr (!kFits16) return sum;
    const __m256i ones = _mm256_set1_epi16(1);
    return Avx2::add_i32(sum, {_mm256_madd_epi16(pairs.a, ones), _mm256_madd_epi16(pairs.b, ones)});
  }
};

// kRun: how many groups of four columns are summed in 16 bits; 0 for codes above 127.
template <typename S, std::size_t kTokens, std::size_t kGroup, std::size_t kRun, bool kHasMinimum>
void gemm_i8_block(std::int32_t zero, const PanelI8& panel, std::size_t cols, const ActivationsI8& x, float* acc,
                   std::size_t acc_stride) {
  constexpr bool kIsSigned = kRun == 0;
  constexpr std::size_t kQuadsPerRun = kIsSigned ? 1 : kRun;
  const __m256i ones = _mm256_set1_epi16(1);
  TokenTerms<S, kTokens, kGroup> terms;
  for (std::size_t first = 0; first < cols; first += kTermColumns) {
    const std::size_t end = cols - first < kTermColumns ? cols : first + kTermColumns;
    prepare_terms<S, kHasMinimum>(x, first, (end - first) / kGroup, kIsSigned ? zero - 128 : zero, terms);
    for (std::size_t col = first; col < end; col += kGroup) {
      const std::size_t g = (col - first) / kGroup;
      typename S::I32 dots[kTokens];
      unroll<kTokens>([&](auto t) {
        constexpr std::size_t kToken = decltype(t)::kValue;
        dots[kToken] = S::set1_i32(kHasMinimum ? 0 : static_cast<std::uint32_t>(terms.starts[kToken][g]));
      });
      unroll<kGroup / 4 / kQuadsPerRun>([&](auto run) {
        typename S::I32 pairs[kTokens];
        unroll<kQuadsPerRun>([&](auto index) {
          constexpr std::size_t kQuad = decltype(run)::kValue * kQuadsPerRun + decltype(index)::kValue;
          auto weights = S::load_i32(panel.codes + (col + 4 * kQuad) * kPanelRows);
          typename S::I32 signs{};
          if constexpr (kIsSigned) {
            signs = S::bit_xor(weights, S::set1_i32(0x80808080U));
            weights = {_mm256_abs_epi8(signs.a), _mm256_abs_epi8(signs.b)};
          }
          unroll<kTokens>([&](auto t) {
            constexpr std::size_t kToken = decltype(t)::kValue;
            const std::int8_t* codes = x.codes + kToken * x.stride + col + 4 * kQuad;
            const __m256i four = _mm256_set1_epi32(four_codes<S>(codes));
            const __m256i a = kIsSigned ? _mm256_sign_epi8(four, signs.a) : four;
            const __m256i b = kIsSigned ? _mm256_sign_epi8(four, signs.b) : four;
            const typename S::I32 products{_mm256_maddubs_epi16(weights.a, a), _mm256_maddubs_epi16(weights.b, b)};
            if constexpr (decltype(index)::kValue == 0) {
              pairs[kToken] = products;
            } else {
              pairs[kToken] = {_mm256_add_epi16(pairs[kToken].a, products.a),
                               _mm256_add_epi16(pairs[kToken].b, products.b)};
            }
          });
        });
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          const typename S::I32 fours{_mm256_madd_epi16(pairs[kToken].a, ones),
                                      _mm256_madd_epi16(pairs[kToken].b, ones)};
          dots[kToken] = S::add_i32(dots[kToken], fours);
        });
      });
      const auto scales = S::load(panel.scales + col / kGroup * kPanelRows);
      unroll<kTokens>([&](auto t) {
        constexpr std::size_t kToken = decltype(t)::kValue;
        const float x_scale = x.scales[kToken * (x.stride / kActivationBlock) + col / kActivationBlock];
        auto sum = S::load(acc + kToken * acc_stride);
        sum = S::fma(S::mul(scales, S::set1(x_scale)), S::to_f32(dots[kToken]), sum);
        if constexpr (kHasMinimum) {
          const auto minimums = S::load(panel.minimums + col / kGroup * kPanelRows);
          sum = S::fnma(minimums, S::set1(terms.weighted_sums[kToken][g]), sum);
        }
        S::store(acc + kToken * acc_stride, sum);
      });
    }
  }
}

template <typename S, std::size_t kGroup, std::size_t kRun, bool kHasMinimum>
void gemm_i8_tokens(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                    std::size_t tokens, float* acc, std::size_t acc_stride) {
  // As many as leave room in 16 registers: sums of one width while a run is a whole group, else of two.
  for_token_blocks<kGroup / 4 == kRun ? 4 : 3>(tokens, [&](auto count, std::size_t first) {
    gemm_i8_block<S, decltype(count)::kValue, kGroup, kRun, kHasMinimum>(
        format.zero, panel, cols, from_token<S>(x, first), acc + first * acc_stride, acc_stride);
  });
}

template <typename S>
void panel_gemm_i8(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                   std::size_t tokens, float* acc, std::size_t acc_stride) {
  const auto run = [&](auto kernel) { kernel(format, panel, cols, x, tokens, acc, acc_stride); };
  const auto run_either = [&](auto with_minimum, auto without) {
    format.has_minimum ? run(with_minimum) : run(without);
  };
  if (format.group == 32) {
    if (format.max_code <= 15) return run_either(gemm_i8_tokens<S, 32, 8, true>, gemm_i8_tokens<S, 32, 8, false>);
    if (format.max_code <= 31) return run_either(gemm_i8_tokens<S, 32, 4, true>, gemm_i8_tokens<S, 32, 4, false>);
    if (format.max_code <= 63) return run_either(gemm_i8_tokens<S, 32, 2, true>, gemm_i8_tokens<S, 32, 2, false>);
    return run_either(gemm_i8_tokens<S, 32, 0, true>, gemm_i8_tokens<S, 32, 0, false>);
  }
  if (format.max_code <= 31) return run_either(gemm_i8_tokens<S, 16, 4, true>, gemm_i8_tokens<S, 16, 4, false>);
  if (format.max_code <= 63) return run_either(gemm_i8_tokens<S, 16, 2, true>, gemm_i8_tokens<S, 16, 2, false>);
  return run_either(gemm_i8_tokens<S, 16, 0, true>, gemm_i8_tokens<S, 16, 0, false>);
}

}  // namespace carat::loops
