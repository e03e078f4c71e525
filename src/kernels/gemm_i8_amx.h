// panel_gemm_i8 by the tiles of AMX: one instruction makes the dots of 16 rows and 16 tokens over a group of columns. A
// panel's codes lie as the instruction wants them: [group / 4][16 rows][4].
#pragma once

#include "kernels/gemm_i8_avx512.h"

namespace carat::loops {

constexpr std::size_t kTileTokens = 16;

// What _tile_loadconfig reads: bytes a row, and rows, of each tile. Tiles 0 and 1 hold dots [tokens][16 rows], 2 and 3
// activations [tokens][group], 4 and 5 weights [group / 4][16][4]; even and odd groups take turns.
template <typename S, std::size_t kGroup>
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {4 * kPanelRows, 4 * kPanelRows, kGroup, kGroup, 4 * kPanelRows, 4 * kPanelRows};
  std::uint8_t rows[16] = {kTileTokens, kTileTokens, kTileTokens, kTileTokens, kGroup / 4, kGroup / 4};
};

template <typename S, std::size_t kGroup>
[[gnu::always_inline]] inline void configure_tiles() {
  static constexpr TileShapes<S, kGroup> kShapes;
  _tile_loadconfig(&kShapes);
}

// weights: signed codes (code - zero) of `cols` columns, [cols / 4][16 rows][4].
template <typename S, std::size_t kGroup, bool kHasMinimum>
void gemm_amx_block(const std::int8_t* weights, const float* scales, const float* minimums, std::size_t cols,
                    const ActivationsI8& x, float* acc, std::size_t acc_stride) {
  alignas(64) std::int32_t dots[2][kTileTokens][kPanelRows];
  TokenTerms<S, kTileTokens, kGroup> terms;
  if constexpr (kHasMinimum) prepare_terms<S, true>(x, 0, cols / kGroup, 0, terms);
  typename S::F32 sums[kTileTokens];
  unroll<kTileTokens>([&](auto t) { sums[decltype(t)::kValue] = S::load(acc + decltype(t)::kValue * acc_stride); });

  const auto finish_group = [&](std::size_t g, const std::int32_t(&group_dots)[kTileTokens][kPanelRows]) {
    const auto scale = S::load(scales + g * kPanelRows);
    const float* x_scales = x.scales + g * kGroup / kActivationBlock;
    unroll<kTileTokens>([&](auto t) {
      constexpr std::size_t kToken = decltype(t)::kValue;
      const auto both = S::mul(scale, S::set1(x_scales[kToken * (x.stride / kActivationBlock)]));
      sums[kToken] = S::fma(both, S::to_f32(S::load_i32(group_dots[kToken])), sums[kToken]);
    });
    if constexpr (kHasMinimum) {
      const auto minimum = S::load(minimums + g * kPanelRows);
      unroll<kTileTokens>([&](auto t) {
        constexpr std::size_t kToken = decltype(t)::kValue;
        sums[kToken] = S::fnma(minimum, S::set1(terms.weighted_sums[kToken][g]), sums[kToken]);
      });
    }
  };
  // The dots of a group set out for memory while those of the group before are made use of. Twice the same, with other
  // tiles: their numbers are part of the instruction's text, where no parameter of a template can stand.
  const auto start_even = [&](std::size_t g) {
    _tile_loadd(2, x.codes + g * kGroup, x.stride);
    _tile_loadd(4, weights + g * kGroup * kPanelRows, 4 * kPanelRows);
    _tile_zero(0);
    _tile_dpbssd(0, 2, 4);
    _tile_stored(0, dots[0], 4 * kPanelRows);
  };
  const auto start_odd = [&](std::size_t g) {
    _tile_loadd(3, x.codes + g * kGroup, x.stride);
    _tile_loadd(5, weights + g * kGroup * kPanelRows, 4 * kPanelRows);
    _tile_zero(1);
    _tile_dpbssd(1, 3, 5);
    _tile_stored(1, dots[1], 4 * kPanelRows);
  };
  const std::size_t groups = cols / kGroup;
  start_even(0);
  std::size_t g = 0;
  for (; g + 2 < groups; g += 2) {
    start_odd(g + 1);
    finish_group(g, dots[0]);
    start_even(g + 2);
    finish_group(g + 1, dots[1]);
  }
  if (g + 1 < groups) start_odd(g + 1);
  finish_group(g, dots[0]);
  if (g + 1 < groups) finish_group(g + 1, dots[1]);
  unroll<kTileTokens>([&](auto t) { S::store(acc + decltype(t)::kValue * acc_stride, sums[decltype(t)::kValue]); });
}

// tokens: a multiple of 16.
template <typename S, std::size_t kGroup, bool kHasMinimum>
void gemm_amx_tokens(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                     std::size_t tokens, float* acc, std::size_t acc_stride) {
  constexpr std::size_t kColumns = kHasMinimum ? kTermColumns : 2 * kTermColumns;
  alignas(64) std::int8_t weights[kColumns * kPanelRows];
  configure_tiles<S, kGroup>();
  for (std::size_t first = 0; first < cols; first += kColumns) {
    const std::size_t count = cols - first < kColumns ? cols - first : kColumns;
    const __m512i zero = _mm512_set1_epi8(static_cast<char>(format.zero));
    for (std::size_t i = 0; i < count * kPanelRows; i += 64) {
      S::store_i32(weights + i, _mm512_sub_epi8(S::load_i32(panel.codes + first * kPanelRows + i), zero));
    }
    asm volatile("" : : : "memory");  // GCC's intrinsics for loading tiles don't say that they read memory
    const float* scales = panel.scales + first / kGroup * kPanelRows;
    const float* minimums = kHasMinimum ? panel.minimums + first / kGroup * kPanelRows : nullptr;
    const ActivationsI8 here{x.codes + first, x.scales + first / kActivationBlock, x.sums + first / kActivationHalf,
                             x.stride};
    for (std::size_t t = 0; t < tokens; t += kTileTokens) {
      gemm_amx_block<S, kGroup, kHasMinimum>(weights, scales, minimums, count, from_token<S>(here, t),
                                             acc + t * acc_stride, acc_stride);
    }
  }
  _tile_release();
}

// Tiles pay from 32 tokens on; what is left over goes the way of VNNI.
template <typename S>
void panel_gemm_i8_amx(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                       std::size_t tokens, float* acc, std::size_t acc_stride) {
  const std::size_t in_tiles = tokens < 2 * kTileTokens ? 0 : tokens / kTileTokens * kTileTokens;
  if (in_tiles != 0) {
    const auto run = [&](auto kernel) { kernel(format, panel, cols, x, in_tiles, acc, acc_stride); };
    if (format.group == 32) {
      format.has_minimum ? run(gemm_amx_tokens<S, 32, true>) : run(gemm_amx_tokens<S, 32, false>);
    } else {
      format.has_minimum ? run(gemm_amx_tokens<S, 16, true>) : run(gemm_amx_tokens<S, 16, false>);
    }
  }
  if (in_tiles < tokens) {
    panel_gemm_i8<S>(format, panel, cols, from_token<S>(x, in_tiles), tokens - in_tiles, acc + in_tiles * acc_stride,
                     acc_stride);
  }
}

}  // namespace carat::loops
