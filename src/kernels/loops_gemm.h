// panel_gemm_f32, written once over a register vocabulary S (simd_*.h), and the cutting of tokens into blocks that fit
// the registers, shared with the 8-bit kernels.
#pragma once

#include "kernels/kernel_table.h"
#include "kernels/unroll.h"

namespace carat::loops {

// Calls block(Index<count>, first token) for runs of kLargest tokens (8 at most), and then of fewer.
template <std::size_t kLargest, typename Block>
[[gnu::always_inline]] inline void for_token_blocks(std::size_t tokens, const Block& block) {
  std::size_t first = 0;
  for (; first + kLargest <= tokens; first += kLargest) block(Index<kLargest>{}, first);
  if constexpr (kLargest > 4) {
    if (tokens - first >= 4) block(Index<4>{}, first), first += 4;
  }
  if constexpr (kLargest > 2) {
    if (tokens - first >= 2) block(Index<2>{}, first), first += 2;
  }
  if constexpr (kLargest > 1) {
    if (tokens - first >= 1) block(Index<1>{}, first);
  }
}

template <typename S, std::size_t kTokens>
void gemm_f32_block(const float* panel, std::size_t panel_stride, std::size_t cols, const float* x,
                    std::size_t x_stride, float* acc, std::size_t acc_stride) {
  typename S::F32 sums[kTokens];
  unroll<kTokens>([&](auto t) { sums[decltype(t)::kValue] = S::load(acc + decltype(t)::kValue * acc_stride); });
  for (std::size_t c = 0; c < cols; ++c) {
    const auto weights = S::load(panel + c * panel_stride);
    unroll<kTokens>([&](auto t) {
      constexpr std::size_t kToken = decltype(t)::kValue;
      sums[kToken] = S::fma(weights, S::set1(x[kToken * x_stride + c]), sums[kToken]);
    });
  }
  unroll<kTokens>([&](auto t) { S::store(acc + decltype(t)::kValue * acc_stride, sums[decltype(t)::kValue]); });
}

template <typename S>
void panel_gemm_f32(const float* panel, std::size_t panel_stride, std::size_t cols, const float* x,
                    std::size_t x_stride, std::size_t tokens, float* acc, std::size_t acc_stride) {
  for_token_blocks<S::kGemmTokens>(tokens, [&](auto count, std::size_t first) {
    gemm_f32_block<S, decltype(count)::kValue>(panel, panel_stride, cols, x + first * x_stride, x_stride,
                                               acc + first * acc_stride, acc_stride);
  });
}

// What panel_gemm_i8 needs of a token besides its codes, for the groups of up to kTermColumns columns.
constexpr std::size_t kTermColumns = 512;

template <typename S, std::size_t kTokens, std::size_t kGroup>
struct TokenTerms {
  static constexpr std::size_t kGroups = kTermColumns / kGroup;
  // -zero * (sum of the group's codes), where the sum of (code - zero) * x_code begins; for formats without minimum.
  std::int32_t starts[kTokens][kGroups];
  // scale * (sum of the group's codes), what a minimum is multiplied by; for the others, whose zero is 0.
  float weighted_sums[kTokens][kGroups];
};

template <typename S, bool kHasMinimum, std::size_t kTokens, std::size_t kGroup>
inline void prepare_terms(const ActivationsI8& x, std::size_t first_col, std::size_t groups, std::int32_t zero,
                          TokenTerms<S, kTokens, kGroup>& terms) {
  for (std::size_t t = 0; t < kTokens; ++t) {
    const std::int32_t* sums = x.sums + t * (x.stride / kActivationHalf) + first_col / kActivationHalf;
    const float* scales = x.scales + t * (x.stride / kActivationBlock) + first_col / kActivationBlock;
    for (std::size_t g = 0; g < groups; ++g) {
      const std::int32_t sum = kGroup == kActivationHalf ? sums[g] : sums[2 * g] + sums[2 * g + 1];
      if constexpr (kHasMinimum) {
        terms.weighted_sums[t][g] = scales[g * kGroup / kActivationBlock] * static_cast<float>(sum);
      } else {
        terms.starts[t][g] = -zero * sum;
      }
    }
  }
}

// Four consecutive codes of a token.
template <typename S>
[[gnu::always_inline]] inline std::int32_t four_codes(const std::int8_t* codes) {
  std::int32_t four;
  __builtin_memcpy(&four, codes, sizeof(four));
  return four;
}

// Activations from token `first` on.
template <typename S>
[[gnu::always_inline]] inline ActivationsI8 from_token(const ActivationsI8& x, std::size_t first) {
  return {x.codes + first * x.stride, x.scales + first * (x.stride / kActivationBlock),
          x.sums + first * (x.stride / kActivationHalf), x.stride};
}

}  // namespace carat::loops
