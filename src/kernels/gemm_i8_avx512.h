// panel_gemm_i8 by vpdpbusd (AVX-512 VNNI): unsigned weight codes times signed activation codes, four columns of 16
// rows an instruction.
#pragma once

#include "kernels/loops_gemm.h"
#include "kernels/simd_avx512.h"

namespace carat::loops {

// For gemv_i8 (loops_gemv.h).
template <std::uint8_t>
struct Avx512Dot {
  static constexpr std::int32_t kCodeShift = 0;
  static constexpr bool kTakesAnyCode = true;  // 0 .. 255, whatever the type's largest
  __m512i sum;

  [[gnu::always_inline]] void start(std::int32_t value) { sum = _mm512_set1_epi32(value); }
  [[gnu::always_inline]] void add(__m512i codes, std::int32_t four) { add(codes, _mm512_set1_epi32(four)); }
  [[gnu::always_inline]] void add(__m512i codes, __m512i x) { sum = _mm512_dpbusd_epi32(sum, codes, x); }
  [[gnu::always_inline]] __m512i result() const { return sum; }
};

template <typename S, std::size_t kTokens, std::size_t kGroup, bool kHasMinimum>
void gemm_i8_block(std::int32_t zero, const PanelI8& panel, std::size_t cols, const ActivationsI8& x, float* acc,
                   std::size_t acc_stride) {
  TokenTerms<S, kTokens, kGroup> terms;
  typename S::F32 sums[kTokens];
  unroll<kTokens>([&](auto t) { sums[decltype(t)::kValue] = S::load(acc + decltype(t)::kValue * acc_stride); });
  for (std::size_t first = 0; first < cols; first += kTermColumns) {
    const std::size_t end = cols - first < kTermColumns ? cols : first + kTermColumns;
    prepare_terms<S, kHasMinimum>(x, first, (end - first) / kGroup, zero, terms);
    for (std::size_t col = first; col < end; col += kGroup) {
      const std::size_t g = (col - first) / kGroup;
      typename S::I32 dots[kTokens];
      unroll<kTokens>([&](auto t) {
        constexpr std::size_t kToken = decltype(t)::kValue;
        dots[kToken] = kHasMinimum ? _mm512_setzero_si512() : _mm512_set1_epi32(terms.starts[kToken][g]);
      });
      unroll<kGroup / 4>([&](auto quad) {
        constexpr std::size_t kQuad = decltype(quad)::kValue;
        const auto weights = S::load_i32(panel.codes + (col + 4 * kQuad) * kPanelRows);
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          const std::int8_t* codes = x.codes + kToken * x.stride + col + 4 * kQuad;
          dots[kToken] = _mm512_dpbusd_epi32(dots[kToken], weights, _mm512_set1_epi32(four_codes<S>(codes)));
        });
      });
      const auto scales = S::load(panel.scales + col / kGroup * kPanelRows);
      unroll<kTokens>([&](auto t) {
        constexpr std::size_t kToken = decltype(t)::kValue;
        const float x_scale = x.scales[kToken * (x.stride / kActivationBlock) + col / kActivationBlock];
        sums[kToken] = S::fma(S::mul(scales, S::set1(x_scale)), S::to_f32(dots[kToken]), sums[kToken]);
      });
      if constexpr (kHasMinimum) {
        const auto minimums = S::load(panel.minimums + col / kGroup * kPanelRows);
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          sums[kToken] = S::fnma(minimums, S::set1(terms.weighted_sums[kToken][g]), sums[kToken]);
        });
      }
    }
  }
  unroll<kTokens>([&](auto t) { S::store(acc + decltype(t)::kValue * acc_stride, sums[decltype(t)::kValue]); });
}

template <typename S>
void panel_gemm_i8(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                   std::size_t tokens, float* acc, std::size_t acc_stride) {
  for_token_blocks<S::kGemmTokens>(tokens, [&](auto count, std::size_t first) {
    constexpr std::size_t kCount = decltype(count)::kValue;
    const auto run = [&](auto block) {
      block(format.zero, panel, cols, from_token<S>(x, first), acc + first * acc_stride, acc_stride);
    };
    if (format.group == 32) {
      format.has_minimum ? run(gemm_i8_block<S, kCount, 32, true>) : run(gemm_i8_block<S, kCount, 32, false>);
    } else {
      format.has_minimum ? run(gemm_i8_block<S, kCount, 16, true>) : run(gemm_i8_block<S, kCount, 16, false>);
    }
  });
}

}  // namespace carat::loops
