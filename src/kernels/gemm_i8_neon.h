// What the 8-bit products of both Neon tables share: the end of a group, where exact integer sums become floats.
#pragma once

#include "kernels/loops_gemm.h"
#include "kernels/simd_neon.h"

namespace carat::loops {

// acc += dot * scale of the weights * scale of the activations, less the minimum's part: for one token and group.
template <typename S, bool kHasMinimum>
[[gnu::always_inline]] inline void add_group(const PanelI8& panel, std::size_t group, typename S::I32 dot,
                                             float x_scale, float weighted_sum, float* acc) {
  const auto scales = S::load(panel.scales + group * kPanelRows);
  auto sum = S::fma(S::mul(scales, S::set1(x_scale)), S::to_f32(dot), S::load(acc));
  if constexpr (kHasMinimum) {
    sum = S::fnma(S::load(panel.minimums + group * kPanelRows), S::set1(weighted_sum), sum);
  }
  S::store(acc, sum);
}

// Where the integer sums of a token and group begin.
template <typename S, bool kHasMinimum, std::size_t kTokens, std::size_t kGroup>
[[gnu::always_inline]] inline std::int32_t first_sum(const TokenTerms<S, kTokens, kGroup>& terms, std::size_t token,
                                                     std::size_t group) {
  return kHasMinimum ? 0 : terms.starts[token][group];
}

// Calls block<tokens, group, has minimum>(...) for all tokens, four at a time; Block is a template of such functions.
template <typename S, template <typename, std::size_t, std::size_t, bool> typename Block>
[[gnu::always_inline]] inline void gemm_i8_by_blocks(const PanelFormat& format, const PanelI8& panel, std::size_t cols,
                                                     const ActivationsI8& x, std::size_t tokens, float* acc,
                                                     std::size_t acc_stride) {
  for_token_blocks<4>(tokens, [&](auto count, std::size_t first) {
    constexpr std::size_t kCount = decltype(count)::kValue;
    const auto run = [&](auto block) {
      block(format, panel, cols, from_token<S>(x, first), acc + first * acc_stride, acc_stride);
    };
    if (format.group == 32) {
      format.has_minimum ? run(Block<S, kCount, 32, true>::run) : run(Block<S, kCount, 32, false>::run);
    } else {
      format.has_minimum ? run(Block<S, kCount, 16, true>::run) : run(Block<S, kCount, 16, false>::run);
    }
  });
}

}  // namespace carat::loops
