// Products by pairs of bf16 (kernel_table.h) in the tiles of AMX: one instruction multiplies 16 tokens with 16 rows
// over 32 columns. Two by two tiles of sums are worked on at a time, so that each tile loaded is used twice.
#pragma once

#include "kernels/simd_avx512.h"
#include "kernels/unroll.h"

namespace carat::loops {

// The tokens of a tile. Tiles 0 .. 3 hold sums, two of tokens times two of rows; 4 and 5 activations, 6 and 7 weights.
constexpr std::size_t kPairTokens = 16;

// What _tile_loadconfig reads.
template <typename S>
struct alignas(64) PairTileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {};
};

template <typename S>
[[gnu::always_inline]] inline void configure_pair_tiles(std::size_t tokens) {
  PairTileShapes<S> shapes;
  for (std::size_t tile = 0; tile < 8; ++tile) {
    shapes.rows[tile] = static_cast<std::uint8_t>(tile < 6 ? tokens : kPairCols / 2);
  }
  _tile_loadconfig(&shapes);
}

// 16 * kTiles tokens, or fewer where the tiles are configured so.
template <typename S, std::size_t kTiles>
[[gnu::always_inline]] inline void gemm_pairs_block(const PanelPairs& panel, std::size_t cols, const ActivationPairs& x,
                                                    float* acc, std::size_t acc_stride) {
  constexpr std::size_t kStep = kPairCols * kPanelRows;  // of the panel, for 32 columns
  const std::size_t half = cols * kPanelRows;
  const std::size_t x_bytes = x.stride * sizeof(std::uint16_t);
  const std::size_t acc_bytes = acc_stride * sizeof(float);
  const std::size_t next = kPairTokens * x.stride;
  _tile_loadd(0, acc, acc_bytes);
  _tile_loadd(1, acc + kPanelRows, acc_bytes);
  if constexpr (kTiles == 2) {
    _tile_loadd(2, acc + kPairTokens * acc_stride, acc_bytes);
    _tile_loadd(3, acc + kPairTokens * acc_stride + kPanelRows, acc_bytes);
  }
  const auto load_weights = [&](const std::uint16_t* weights) {
    _tile_loadd(6, weights, 64);
    _tile_loadd(7, weights + half, 64);
  };
  const auto load_activations = [&](const std::uint16_t* from) {
    _tile_loadd(4, from, x_bytes);
    if constexpr (kTiles == 2) _tile_loadd(5, from + next, x_bytes);
  };
  const auto multiply = [] {
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kTiles == 2) _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTiles == 2) _tile_dpbf16ps(3, 5, 7);
  };
  for (std::size_t col = 0; col < cols; col += kPairCols) {
    const std::size_t at = col / kPairCols * kStep;
    load_activations(x.high + col);
    if (panel.low != nullptr) {
      load_weights(panel.low + at);
      multiply();
    }
    load_weights(panel.high + at);
    multiply();
    load_activations(x.low + col);
    multiply();
  }
  _tile_stored(0, acc, acc_bytes);
  _tile_stored(1, acc + kPanelRows, acc_bytes);
  if constexpr (kTiles == 2) {
    _tile_stored(2, acc + kPairTokens * acc_stride, acc_bytes);
    _tile_stored(3, acc + kPairTokens * acc_stride + kPanelRows, acc_bytes);
  }
}

template <typename S>
void panel_gemm_pairs(const PanelPairs& panel, std::size_t cols, const ActivationPairs& x, std::size_t tokens,
                      float* acc, std::size_t acc_stride) {
  asm volatile("" : : : "memory");  // GCC's intrinsics for tiles don't say that they read and write memory
  const auto from = [&](std::size_t token) {
    return ActivationPairs{x.high + token * x.stride, x.low + token * x.stride, x.stride};
  };
  std::size_t t = 0;
  if (tokens >= kPairTokens) configure_pair_tiles<S>(kPairTokens);
  for (; t + 2 * kPairTokens <= tokens; t += 2 * kPairTokens) {
    gemm_pairs_block<S, 2>(panel, cols, from(t), acc + t * acc_stride, acc_stride);
  }
  if (t + kPairTokens <= tokens) {
    gemm_pairs_block<S, 1>(panel, cols, from(t), acc + t * acc_stride, acc_stride);
    t += kPairTokens;
  }
  if (t < tokens) {
    configure_pair_tiles<S>(tokens - t);
    gemm_pairs_block<S, 1>(panel, cols, from(t), acc + t * acc_stride, acc_stride);
  }
  _tile_release();
  asm volatile("" : : : "memory");
}

// Two times 16 floats as bf16, the first in the lower half.
template <typename S>
[[gnu::always_inline]] inline typename S::I32 two_as_bf16(typename S::F32 first, typename S::F32 second) {
  return __builtin_bit_cast(typename S::I32, _mm512_cvtne2ps_pbh(second, first));
}

template <typename S>
void pack_pairs(const float* panel, std::size_t panel_stride, std::size_t cols, std::uint16_t* high,
                std::uint16_t* low) {
  // Of two columns one after the other: row by row.
  alignas(64) static constexpr std::uint16_t kRowByRow[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                              21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                              11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const auto order = S::load_i32(kRowByRow);
  const auto upper = S::set1_i32(0xffff0000U);
  for (std::size_t col = 0; col < cols; col += 2) {
    const auto even = S::load(panel + col * panel_stride);
    const auto odd = col + 1 < cols ? S::load(panel + (col + 1) * panel_stride) : S::set1(0);
    const auto highs = _mm512_permutexvar_epi16(order, two_as_bf16<S>(even, odd));
    S::store_i32(high + col * kPanelRows, highs);
    if (low == nullptr) continue;
    const auto even_rest = S::sub(even, S::floats(S::template shl<16>(highs)));
    const auto odd_rest = S::sub(odd, S::floats(S::bit_and(highs, upper)));
    S::store_i32(low + col * kPanelRows, _mm512_permutexvar_epi16(order, two_as_bf16<S>(even_rest, odd_rest)));
  }
}

template <typename S>
void split_pairs(const float* x, std::size_t n, std::uint16_t* high, std::uint16_t* low) {
  const auto split = [](typename S::F32 value, __m256i& high16, __m256i& low16) {
    high16 = __builtin_bit_cast(__m256i, _mm512_cvtneps_pbh(value));
    const auto rest = S::sub(value, S::floats(S::template shl<16>(_mm512_cvtepu16_epi32(high16))));
    low16 = __builtin_bit_cast(__m256i, _mm512_cvtneps_pbh(rest));
  };
  __m256i high16;
  __m256i low16;
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    split(S::load(x + i), high16, low16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high + i), high16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low + i), low16);
  }
  if (i < n) {
    split(S::load_part(x + i, n - i, S::set1(0)), high16, low16);
    __builtin_memcpy(high + i, &high16, (n - i) * sizeof(*high));
    __builtin_memcpy(low + i, &low16, (n - i) * sizeof(*low));
  }
}

}  // namespace carat::loops
