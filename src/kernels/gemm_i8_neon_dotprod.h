// panel_gemm_i8 by sdot (Arm's dot product extension): signed times signed bytes, four columns of four rows an
// instruction. Codes above 127 are turned into code - 128; types with a minimum have none.
#pragma once

#include "kernels/gemm_i8_neon.h"

namespace carat::loops {

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
