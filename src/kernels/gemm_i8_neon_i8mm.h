// panel_gemm_i8 by usmmla (Arm's 8-bit matrix multiplication): two rows of weights, unsigned, times two tokens, signed,
// eight columns an instruction; and by usdot for a token alone.
#pragma once

#include "kernels/gemm_i8_neon.h"

namespace carat::loops {

// For gemv_i8 (loops_gemv.h).
template <std::uint8_t>
struct NeonI8mmDot {
  using S = NeonI8mm;
  static constexpr std::int32_t kCodeShift = 0;
  S::I32 sum;

  [[gnu::always_inline]] void start(std::int32_t value) { sum = S::set1_i32(static_cast<std::uint32_t>(value)); }
  [[gnu::always_inline]] void add(S::I32 codes, std::int32_t four) {
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
    sum = {dot(sum.a, codes.a, x), dot(sum.b, codes.b, x), dot(sum.c, codes.c, x), dot(sum.d, codes.d, x)};
  }
  [[gnu::always_inline]] S::I32 result() const { return sum; }

 private:
  [[gnu::always_inline]] static int32x4_t dot(int32x4_t sum, int32x4_t codes, int8x16_t x) {
    return vusdotq_s32(sum, vreinterpretq_u8_s32(codes), x);
  }
};

// An even number of tokens.
template <typename S, std::size_t kTokens, std::size_t kGroup, bool kHasMinimum>
struct MatrixBlock {
  static constexpr std::size_t kPairs = kTokens / 2;
  // Of rows r and r + 1 and tokens t and t + 1: {r t, r t+1, r+1 t, r+1 t+1}; of 16 rows, two a register.
  struct PairSums {
    int32x4_t at[kPanelRows / 2];
  };

  static void run(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x, float* acc,
                  std::size_t acc_stride) {
    TokenTerms<S, kTokens, kGroup> terms;
    for (std::size_t first = 0; first < cols; first += kTermColumns) {
      const std::size_t end = cols - first < kTermColumns ? cols : first + kTermColumns;
      prepare_terms<S, kHasMinimum>(x, first, (end - first) / kGroup, format.zero, terms);
      for (std::size_t col = first; col < end; col += kGroup) {
        const std::size_t g = (col - first) / kGroup;
        PairSums sums[kPairs];
        unroll<kPairs>([&](auto p) {
          constexpr std::size_t kPair = decltype(p)::kValue;
          const std::int32_t starts[2] = {first_sum<S, kHasMinimum>(terms, 2 * kPair, g),
                                          first_sum<S, kHasMinimum>(terms, 2 * kPair + 1, g)};
          const int32x2_t start = vld1_s32(starts);
          unroll<kPanelRows / 2>([&](auto i) { sums[kPair].at[decltype(i)::kValue] = vcombine_s32(start, start); });
        });
        unroll<kGroup / 8>([&](auto eight) {
          constexpr std::size_t kColumn = 8 * decltype(eight)::kValue;
          const auto low = S::load_i32(panel.codes + (col + kColumn) * kPanelRows);
          const auto high = S::load_i32(panel.codes + (col + kColumn + 4) * kPanelRows);
          unroll<kPairs>([&](auto p) {
            constexpr std::size_t kPair = decltype(p)::kValue;
            const std::int8_t* codes = x.codes + 2 * kPair * x.stride + col + kColumn;
            const int8x16_t two = vcombine_s8(vld1_s8(codes), vld1_s8(codes + x.stride));
            PairSums& sum = sums[kPair];
            add_four_rows(sum.at[0], sum.at[1], low.a, high.a, two);
            add_four_rows(sum.at[2], sum.at[3], low.b, high.b, two);
            add_four_rows(sum.at[4], sum.at[5], low.c, high.c, two);
            add_four_rows(sum.at[6], sum.at[7], low.d, high.d, two);
          });
        });
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          const PairSums& sum = sums[kToken / 2];
          const auto of_token = [](int32x4_t two, int32x4_t next_two) {
            return kToken % 2 == 0 ? vuzp1q_s32(two, next_two) : vuzp2q_s32(two, next_two);
          };
          const typename S::I32 dot{of_token(sum.at[0], sum.at[1]), of_token(sum.at[2], sum.at[3]),
                                    of_token(sum.at[4], sum.at[5]), of_token(sum.at[6], sum.at[7])};
          const float x_scale = x.scales[kToken * (x.stride / kActivationBlock) + col / kActivationBlock];
          add_group<S, kHasMinimum>(panel, col / kGroup, dot, x_scale,
                                    kHasMinimum ? terms.weighted_sums[kToken][g] : 0.0F, acc + kToken * acc_stride);
        });
      }
    }
  }

 private:
  // low, high: columns 0 .. 3 and 4 .. 7 of four rows.
  [[gnu::always_inline]] static void add_four_rows(int32x4_t& two_rows, int32x4_t& next_two, int32x4_t low,
                                                   int32x4_t high, int8x16_t codes) {
    two_rows = vusmmlaq_s32(two_rows, vreinterpretq_u8_s32(vzip1q_s32(low, high)), codes);
    next_two = vusmmlaq_s32(next_two, vreinterpretq_u8_s32(vzip2q_s32(low, high)), codes);
  }
};

template <typename S, std::size_t kGroup, bool kHasMinimum>
struct MatrixBlock<S, 1, kGroup, kHasMinimum> {
  static void run(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x, float* acc,
                  std::size_t) {
    TokenTerms<S, 1, kGroup> terms;
    for (std::size_t first = 0; first < cols; first += kTermColumns) {
      const std::size_t end = cols - first < kTermColumns ? cols : first + kTermColumns;
      prepare_terms<S, kHasMinimum>(x, first, (end - first) / kGroup, format.zero, terms);
      for (std::size_t col = first; col < end; col += kGroup) {
        const std::size_t g = (col - first) / kGroup;
        auto sums = S::set1_i32(static_cast<std::uint32_t>(first_sum<S, kHasMinimum>(terms, 0, g)));
        unroll<kGroup / 16>([&](auto sixteen) {
          constexpr std::size_t kSixteen = decltype(sixteen)::kValue;
          const int8x16_t codes = vld1q_s8(x.codes + col + 16 * kSixteen);
          unroll<4>([&](auto quad) {
            constexpr std::size_t kQuad = decltype(quad)::kValue;
            const auto weights = S::load_i32(panel.codes + (col + 16 * kSixteen + 4 * kQuad) * kPanelRows);
            sums = {dot<kQuad>(sums.a, weights.a, codes), dot<kQuad>(sums.b, weights.b, codes),
                    dot<kQuad>(sums.c, weights.c, codes), dot<kQuad>(sums.d, weights.d, codes)};
          });
        });
        add_group<S, kHasMinimum>(panel, col / kGroup, sums, x.scales[col / kActivationBlock],
                                  kHasMinimum ? terms.weighted_sums[0][g] : 0.0F, acc);
      }
    }
  }

 private:
  template <std::size_t kQuad>
  [[gnu::always_inline]] static int32x4_t dot(int32x4_t sum, int32x4_t weights, int8x16_t codes) {
    return vusdotq_laneq_s32(sum, vreinterpretq_u8_s32(weights), codes, kQuad);
  }
};

}  // namespace carat::loops
