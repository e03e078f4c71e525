// panel_gemm_i8 by sdot (Arm's dot product extension): signed times signed bytes, four columns of four rows an
// instruction. Codes above 127 are turned into code - 128; types with a minimum have none.
#pragma once

#include "kernels/gemm_i8_neon.h"

namespace carat::loops {

// For gemv_i8 (loops_gemv.h).
template <std::uint8_t kMaxCode>
struct NeonDotprodDot {
  using S = NeonDotprod;
  static constexpr bool kIsShifted = kMaxCode > 127;
  static constexpr std::int32_t kCodeShift = kIsShifted ? 128 : 0;
  S::I32 sum;

  [[gnu::always_inline]] void start(std::int32_t value) { sum = S::set1_i32(static_cast<std::uint32_t>(value)); }
  [[gnu::always_inline]] void add(S::I32 codes, std::int32_t four) {
    if constexpr (kIsShifted) codes = S::bit_xor(codes, S::set1_i32(0x80808080U));
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
    sum = {dot(sum.a, codes.a, x), dot(sum.b, codes.b, x), dot(sum.c, codes.c, x), dot(sum.d, codes.d, x)};
  }
  [[gnu::always_inline]] S::I32 result() const { return sum; }

 private:
  [[gnu::always_inline]] static int32x4_t dot(int32x4_t sum, int32x4_t codes, int8x16_t x) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(codes), x);
  }
};

template <typename S, std::size_t kTokens, std::size_t kGroup, bool kHasMinimum>
struct DotprodBlock {
  static void run(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x, float* acc,
                  std::size_t acc_stride) {
    const bool is_shifted = !kHasMinimum && format.max_code > 127;
    const auto shift = S::set1_i32(is_shifted ? 0x80808080U : 0U);
    TokenTerms<S, kTokens, kGroup> terms;
    for (std::size_t first = 0; first < cols; first += kTermColumns) {
      const std::size_t end = cols - first < kTermColumns ? cols : first + kTermColumns;
      prepare_terms<S, kHasMinimum>(x, first, (end - first) / kGroup, is_shifted ? format.zero - 128 : format.zero,
                                    terms);
      for (std::size_t col = first; col < end; col += kGroup) {
        const std::size_t g = (col - first) / kGroup;
        typename S::I32 dots[kTokens];
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          dots[kToken] = S::set1_i32(static_cast<std::uint32_t>(first_sum<S, kHasMinimum>(terms, kToken, g)));
        });
        unroll<kGroup / 16>([&](auto sixteen) {
          constexpr std::size_t kSixteen = decltype(sixteen)::kValue;
          int8x16_t codes[kTokens];
          unroll<kTokens>([&](auto t) {
            constexpr std::size_t kToken = decltype(t)::kValue;
            codes[kToken] = vld1q_s8(x.codes + kToken * x.stride + col + 16 * kSixteen);
          });
          unroll<4>([&](auto quad) {
            constexpr std::size_t kQuad = decltype(quad)::kValue;
            const std::uint8_t* from = panel.codes + (col + 16 * kSixteen + 4 * kQuad) * kPanelRows;
            const auto weights = S::bit_xor(S::load_i32(from), shift);
            unroll<kTokens>([&](auto t) {
              constexpr std::size_t kToken = decltype(t)::kValue;
              dots[kToken] = {dot<kQuad>(dots[kToken].a, weights.a, codes[kToken]),
                              dot<kQuad>(dots[kToken].b, weights.b, codes[kToken]),
                              dot<kQuad>(dots[kToken].c, weights.c, codes[kToken]),
                              dot<kQuad>(dots[kToken].d, weights.d, codes[kToken])};
            });
          });
        });
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          const float x_scale = x.scales[kToken * (x.stride / kActivationBlock) + col / kActivationBlock];
          add_group<S, kHasMinimum>(panel, col / kGroup, dots[kToken], x_scale,
                                    kHasMinimum ? terms.weighted_sums[kToken][g] : 0.0F, acc + kToken * acc_stride);
        });
      }
    }
  }

 private:
  template <std::size_t kQuad>
  [[gnu::always_inline]] static int32x4_t dot(int32x4_t sum, int32x4_t weights, int8x16_t codes) {
    return vdotq_laneq_s32(sum, vreinterpretq_s8_s32(weights), codes, kQuad);
  }
};

}  // namespace carat::loops
