// dot_keys and mix_values: few queries meet many keys and values as they stand in the cache, written once over a
// register vocabulary S (simd_*.h). A block of queries and keys, or of queries and columns, keeps its sums in
// registers; what is read of the cache is decoded on the way there.
#pragma once

#include "kernels/loops_gemm.h"

namespace carat::loops {

// Sixteen elements of a row from element i on, a multiple of 16, and where they lie.
template <typename S, DType kDType>
struct CacheElements;

template <typename S>
struct CacheElements<S, DType::kF32> {
  [[gnu::always_inline]] static std::size_t offset(std::size_t i) { return 4 * i; }
  [[gnu::always_inline]] static typename S::F32 load(const std::byte* row, std::size_t i) {
    return S::load(reinterpret_cast<const float*>(row + offset(i)));
  }
};

template <typename S>
struct CacheElements<S, DType::kF16> {
  [[gnu::always_inline]] static std::size_t offset(std::size_t i) { return 2 * i; }
  [[gnu::always_inline]] static typename S::F32 load(const std::byte* row, std::size_t i) {
    return S::load_f16(reinterpret_cast<const std::uint16_t*>(row + offset(i)));
  }
};

template <typename S>
struct CacheElements<S, DType::kBF16> {
  [[gnu::always_inline]] static std::size_t offset(std::size_t i) { return 2 * i; }
  [[gnu::always_inline]] static typename S::F32 load(const std::byte* row, std::size_t i) {
    return S::floats(S::template shl<16>(S::load_16(reinterpret_cast<const std::uint16_t*>(row + offset(i)))));
  }
};

// Blocks of an f16 scale and 32 codes.
template <typename S>
struct CacheElements<S, DType::kQ8_0> {
  [[gnu::always_inline]] static std::size_t offset(std::size_t i) { return i / 32 * 34; }
  [[gnu::always_inline]] static typename S::F32 load(const std::byte* row, std::size_t i) {
    const std::byte* block = row + offset(i);
    std::uint16_t bits;
    __builtin_memcpy(&bits, block, sizeof(bits));
    return S::mul(S::from_f16(S::set1_i32(bits)), S::to_f32(S::load_i8(block + 2 + i % 32)));
  }
};

// The sum of each one's sixteen lanes, folded 8, 4, 2, 1 apart.
template <typename S, std::size_t kCount>
[[gnu::always_inline]] inline void fold_each(const typename S::F32 (&sums)[kCount], float (&out)[kCount]) {
  if constexpr (requires { S::fold_sixteen(sums, out); }) {
    S::fold_sixteen(sums, out);
  } else {
    unroll<kCount>([&](auto i) { out[decltype(i)::kValue] = S::fold_add(sums[decltype(i)::kValue]); });
  }
}

template <typename S, DType kDType, std::size_t kTokens, std::size_t kKeys>
[[gnu::always_inline]] inline void dot_keys_block(const std::byte* keys, const std::byte* next, std::size_t row_bytes,
                                                  std::size_t cols, const float* q, std::size_t q_stride, float* scores,
                                                  std::size_t score_stride) {
  using Elements = CacheElements<S, kDType>;
  typename S::F32 sums[kTokens * kKeys];
  unroll<kTokens * kKeys>([&](auto i) { sums[decltype(i)::kValue] = S::set1(0); });
  for (std::size_t col = 0; col < cols; col += 16) {
    typename S::F32 key[kKeys];
    unroll<kKeys>([&](auto k) {
      constexpr std::size_t kKey = decltype(k)::kValue;
      key[kKey] = Elements::load(keys + kKey * row_bytes, col);
      S::prefetch(next + kKey * row_bytes + Elements::offset(col));
    });
    unroll<kTokens>([&](auto t) {
      constexpr std::size_t kToken = decltype(t)::kValue;
      const auto query = S::load(q + kToken * q_stride + col);
      unroll<kKeys>([&](auto k) {
        constexpr std::size_t kSum = kToken * kKeys + decltype(k)::kValue;
        sums[kSum] = S::fma(query, key[decltype(k)::kValue], sums[kSum]);
      });
    });
  }
  float folded[kTokens * kKeys];
  fold_each<S>(sums, folded);
  for (std::size_t t = 0; t < kTokens; ++t) {
    for (std::size_t k = 0; k < kKeys; ++k) scores[t * score_stride + k] = folded[t * kKeys + k];
  }
}

// Cuts queries, and keys or vectors of columns (`units`), into blocks whose sums fit the registers, and calls
// block(Index<queries>, Index<units>, first query, first unit, where what is read next lies).
template <typename S, typename Block>
[[gnu::always_inline]] inline void for_cache_blocks(const CacheRows& rows, std::size_t tokens, std::size_t units,
                                                    const Block& block) {
  constexpr std::size_t kTokensAtOnce = S::kCacheSums < 8 ? S::kCacheSums : 8;
  for_token_blocks<kTokensAtOnce>(tokens, [&](auto count, std::size_t token) {
    constexpr std::size_t kUnits = S::kCacheSums / decltype(count)::kValue;
    // Once is enough: later queries fetch what is there.
    const std::byte* const next = token == 0 ? rows.next : rows.first;
    std::size_t unit = 0;
    for (; unit + kUnits <= units; unit += kUnits) block(count, Index<kUnits>{}, token, unit, next);
    for (; unit < units; ++unit) block(count, Index<1>{}, token, unit, next);
  });
}

template <typename S, DType kDType>
[[gnu::flatten]] void dot_keys(const CacheRows& keys, std::size_t cols, const float* q, std::size_t q_stride,
                               std::size_t tokens, float* scores, std::size_t score_stride) {
  for_cache_blocks<S>(keys, tokens, keys.rows,
                      [&](auto count, auto at_once, std::size_t token, std::size_t key, const std::byte* next) {
                        const std::size_t offset = key * keys.row_bytes;
                        dot_keys_block<S, kDType, decltype(count)::kValue, decltype(at_once)::kValue>(
                            keys.first + offset, next + offset, keys.row_bytes, cols, q + token * q_stride, q_stride,
                            scores + token * score_stride + key, score_stride);
                      });
}

template <typename S, DType kDType, std::size_t kTokens, std::size_t kVectors>
[[gnu::always_inline]] inline void mix_values_block(const CacheRows& values, const std::byte* next, std::size_t col,
                                                    const float* weights, std::size_t weight_stride, float* out,
                                                    std::size_t out_stride) {
  using Elements = CacheElements<S, kDType>;
  typename S::F32 sums[kTokens * kVectors];
  unroll<kTokens>([&](auto t) {
    unroll<kVectors>([&](auto v) {
      constexpr std::size_t kToken = decltype(t)::kValue;
      constexpr std::size_t kVector = decltype(v)::kValue;
      sums[kToken * kVectors + kVector] = S::load(out + kToken * out_stride + col + 16 * kVector);
    });
  });
  const std::byte* row = values.first;
  for (std::size_t key = 0; key < values.rows; ++key) {
    typename S::F32 value[kVectors];
    unroll<kVectors>([&](auto v) {
      constexpr std::size_t kVector = decltype(v)::kValue;
      value[kVector] = Elements::load(row, col + 16 * kVector);
      S::prefetch(next + Elements::offset(col + 16 * kVector));
    });
    unroll<kTokens>([&](auto t) {
      constexpr std::size_t kToken = decltype(t)::kValue;
      const auto weight = S::set1(weights[kToken * weight_stride + key]);
      unroll<kVectors>([&](auto v) {
        constexpr std::size_t kSum = kToken * kVectors + decltype(v)::kValue;
        sums[kSum] = S::fma(weight, value[decltype(v)::kValue], sums[kSum]);
      });
    });
    row += values.row_bytes;
    next += values.row_bytes;
  }
  unroll<kTokens>([&](auto t) {
    unroll<kVectors>([&](auto v) {
      constexpr std::size_t kToken = decltype(t)::kValue;
      constexpr std::size_t kVector = decltype(v)::kValue;
      S::store(out + kToken * out_stride + col + 16 * kVector, sums[kToken * kVectors + kVector]);
    });
  });
}

template <typename S, DType kDType>
[[gnu::flatten]] void mix_values(const CacheRows& values, std::size_t cols, const float* weights,
                                 std::size_t weight_stride, std::size_t tokens, float* out, std::size_t out_stride) {
  for_cache_blocks<S>(values, tokens, cols / 16,
                      [&](auto count, auto at_once, std::size_t token, std::size_t vector, const std::byte* next) {
                        mix_values_block<S, kDType, decltype(count)::kValue, decltype(at_once)::kValue>(
                            values, next, 16 * vector, weights + token * weight_stride, weight_stride,
                            out + token * out_stride, out_stride);
                      });
}

template <typename S, DType... kDTypes>
consteval void set_cache_kernels(KernelTable& table) {
  ((table.dot_keys[static_cast<std::size_t>(kDTypes)] = dot_keys<S, kDTypes>), ...);
  ((table.mix_values[static_cast<std::size_t>(kDTypes)] = mix_values<S, kDTypes>), ...);
}

}  // namespace carat::loops
