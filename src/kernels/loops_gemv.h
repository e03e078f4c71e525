// gemv_i8 and gemv_f32: the product of one or a few tokens with 16 rows of weights straight from the file, written once
// over a register vocabulary S (simd_*.h). Blocks are unpacked as for a panel, but meet the activations in registers.
#pragma once

#include <type_traits>

#include "kernels/loops_gemm.h"
#include "kernels/loops_unpack.h"

namespace carat::loops {

// Where a block's scales and minimums go in registers.
template <typename S, DType kDType>
struct GroupTerms {
  static constexpr std::size_t kGroup = kFormat<S, kDType>.group;
  static constexpr std::size_t kGroups = Block<S, kDType>::kValues / kGroup;

  typename S::F32 scales[kGroups];
  typename S::F32 minimums[kGroups];  // unused where the format has none

  [[gnu::always_inline]] void scale(std::size_t group, typename S::F32 value) { scales[group] = value; }
  [[gnu::always_inline]] void minimum(std::size_t group, typename S::F32 value) { minimums[group] = value; }
};

// Takes a block's codes to dots with those of some tokens. Dot: starts from a number, adds four columns at a time,
// tells the result; codes it takes for kCodeShift less than they are.
template <typename S, typename Dot, DType kDType, std::size_t kTokens>
struct ColumnDots : GroupTerms<S, kDType> {
  static constexpr bool kTransposes = true;
  using Terms = GroupTerms<S, kDType>;

  const std::int8_t* x;  // the tokens' codes from the block's first column on
  std::size_t stride;    // from token to token
  Dot dots[Terms::kGroups][kTokens];

  [[gnu::always_inline]] void start(std::size_t group, std::size_t token, std::int32_t value) {
    dots[group][token].start(value);
  }
  [[gnu::always_inline]] void codes(std::size_t first, typename S::I32 values) {
    unroll<kTokens>([&](auto t) {
      constexpr std::size_t kToken = decltype(t)::kValue;
      dots[first / Terms::kGroup][kToken].add(values, four_codes<S>(x + kToken * stride + first));
    });
  }
  [[gnu::always_inline]] typename S::I32 dot(std::size_t group, std::size_t token) const {
    return dots[group][token].result();
  }
};

// The same for one token, whose codes meet 16 of a row's where they lie: what is transposed are the sums, of which
// there are fewer.
template <typename S, typename Dot, DType kDType>
struct RowDots : GroupTerms<S, kDType> {
  static constexpr bool kTransposes = false;
  using Terms = GroupTerms<S, kDType>;

  const std::int8_t* x;
  std::size_t stride;
  std::int32_t starts[Terms::kGroups];
  Dot parts[Terms::kGroups][4];
  bool is_sixteenfold[Terms::kGroups] = {};

  [[gnu::always_inline]] void start(std::size_t group, std::size_t, std::int32_t value) {
    starts[group] = value;
    unroll<4>([&](auto part) { parts[group][decltype(part)::kValue].start(0); });
  }
  [[gnu::always_inline]] void codes(std::size_t first, typename S::I32 values) {
    parts[first / Terms::kGroup][first / 4 % 4].add(values, S::load_sixteen(x + first / 16 * 16));
  }
  // Codes of 4 bits where they stand 16 times themselves, all of a group's: its sums are divided at the end.
  [[gnu::always_inline]] void upper_nibbles(std::size_t first, typename S::I32 values) requires(Dot::kTakesAnyCode) {
    is_sixteenfold[first / Terms::kGroup] = true;
    codes(first, values);
  }
  [[gnu::always_inline]] typename S::I32 dot(std::size_t group, std::size_t) const {
    const auto& part = parts[group];
    auto sum = S::fold_rows(part[0].result(), part[1].result(), part[2].result(), part[3].result());
    if (is_sixteenfold[group]) sum = S::template sar<4>(sum);
    return S::add_i32(sum, S::set1_i32(static_cast<std::uint32_t>(starts[group])));
  }
};

template <typename S, DType kDType, std::size_t kTokens>
inline constexpr bool kMeetsRows =
    kTokens == 1 && !Block<S, kDType>::kNeedsColumns && kFormat<S, kDType>.group == 32 && requires {
  S::fold_rows;
};

template <typename S, typename Dot, DType kDType, std::size_t kTokens>
using DotTarget =
    std::conditional_t<kMeetsRows<S, kDType, kTokens>, RowDots<S, Dot, kDType>, ColumnDots<S, Dot, kDType, kTokens>>;

// Flattened: a lambda that GCC leaves out of line gets the dots by way of memory, which made two tokens and a K-quant
// take three times as long.
template <typename S, typename Dot, DType kDType, std::size_t kTokens>
[[gnu::flatten]] void gemv_i8_tokens(const WeightRows& rows, std::size_t cols, const ActivationsI8& x, float* acc,
                                     std::size_t acc_stride) {
  using B = Block<S, kDType>;
  using Target = DotTarget<S, Dot, kDType, kTokens>;
  constexpr bool kHasMinimum = kFormat<S, kDType>.has_minimum;
  constexpr std::int32_t kZero = kFormat<S, kDType>.zero - Dot::kCodeShift;
  TokenTerms<S, kTokens, Target::kGroup> terms;
  BlockSource<S> from = block_source<S>(rows, 0);
  typename S::F32 sums[kTokens];
  unroll<kTokens>([&](auto t) { sums[decltype(t)::kValue] = S::load(acc + decltype(t)::kValue * acc_stride); });
  for (std::size_t first = 0; first < cols; first += kTermColumns) {
    const std::size_t end = cols - first < kTermColumns ? cols : first + kTermColumns;
    prepare_terms<S, kHasMinimum>(x, first, (end - first) / Target::kGroup, kZero, terms);
    for (std::size_t col = first; col < end; col += B::kValues) {
      const std::size_t first_group = (col - first) / Target::kGroup;
      Target to;
      to.x = x.codes + col;
      to.stride = x.stride;
      unroll<Target::kGroups>([&](auto g) {
        constexpr std::size_t kIndex = decltype(g)::kValue;
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          to.start(kIndex, kToken, kHasMinimum ? 0 : terms.starts[kToken][first_group + kIndex]);
        });
      });
      B::unpack(from, to);
      from.advance(B::kBytes);
      unroll<Target::kGroups>([&](auto g) {
        constexpr std::size_t kIndex = decltype(g)::kValue;
        const float* x_scales = x.scales + (col + kIndex * Target::kGroup) / kActivationBlock;
        unroll<kTokens>([&](auto t) {
          constexpr std::size_t kToken = decltype(t)::kValue;
          auto& sum = sums[kToken];
          const auto x_scale = S::set1(x_scales[kToken * (x.stride / kActivationBlock)]);
          sum = S::fma(S::mul(to.scales[kIndex], x_scale), S::to_f32(to.dot(kIndex, kToken)), sum);
          if constexpr (kHasMinimum) {
            sum = S::fnma(to.minimums[kIndex], S::set1(terms.weighted_sums[kToken][first_group + kIndex]), sum);
          }
        });
      });
    }
  }
  unroll<kTokens>([&](auto t) { S::store(acc + decltype(t)::kValue * acc_stride, sums[decltype(t)::kValue]); });
}

// How many tokens' dots are kept in registers. Blocks of several groups have dots of them all, which soon don't fit.
template <typename S, DType kDType>
inline constexpr bool kHasSeveralGroups = Block<S, kDType>::kValues != kFormat<S, kDType>.group;
template <typename S, DType kDType>
inline constexpr std::size_t kRegisterTokens = kHasSeveralGroups<S, kDType> ? (S::kGemvTokens + 1) / 2 : S::kGemvTokens;

// Of such types, more tokens may still meet the weights quicker in several passes, the later ones over what the first
// has brought near, than by way of a panel.
template <typename S, DType kDType>
inline constexpr std::size_t kMostGemvTokens = kRegisterTokens<S, kDType>*(kHasSeveralGroups<S, kDType> ? S::kGemvPasses
                                                                                                        : 1);

// Sixteen rows from row `first` on.
template <typename S>
[[gnu::always_inline]] inline WeightRows panel_from(const WeightRows& rows, std::size_t first) {
  const std::size_t skipped = first * rows.row_bytes;
  return {rows.first + skipped, rows.row_bytes, kPanelRows, rows.later == nullptr ? nullptr : rows.later + skipped};
}

template <typename S, typename Dot, DType kDType>
void gemv_i8(const WeightRows& rows, std::size_t cols, const ActivationsI8& x, std::size_t tokens, float* acc,
             std::size_t acc_stride) {
  constexpr std::size_t kStep = kRegisterTokens<S, kDType>;
  for (std::size_t row = 0; row < rows.rows; row += kPanelRows) {
    const WeightRows panel = panel_from<S>(rows, row);
    for (std::size_t first = 0; first < tokens; first += kStep) {
      const std::size_t count = tokens - first < kStep ? tokens - first : kStep;
      unroll<kStep>([&](auto index) {
        constexpr std::size_t kTokens = decltype(index)::kValue + 1;
        if (count == kTokens) {
          gemv_i8_tokens<S, Dot, kDType, kTokens>(panel, cols, from_token<S>(x, first), acc + first * acc_stride + row,
                                                  acc_stride);
        }
      });
    }
  }
}

template <typename S, typename Value>
void gemv_f32(const WeightRows& rows, std::size_t cols, const float* x, float* acc) {
  constexpr std::size_t kStep = 16 / Value::kBytes;
  BlockSource<S> from = block_source<S>(rows, 0);
  auto sum = S::load(acc);
  std::size_t col = 0;
  for (; col + kStep <= cols; col += kStep) {
    Value::load_columns(load_rows<S>(from, 0),
                        [&](std::size_t i, typename S::F32 value) { sum = S::fma(value, S::set1(x[col + i]), sum); });
    from.advance(16);
  }
  if (col < cols) {  // less than 16 bytes are left of each row
    std::byte copy[kPanelRows][16];
    copy_rows<S>(rows, col * Value::kBytes, (cols - col) * Value::kBytes, copy);
    Value::load_columns(S::load_rows(S::Rows::from(copy[0], 16), 0), [&](std::size_t i, typename S::F32 value) {
      if (col + i < cols) sum = S::fma(value, S::set1(x[col + i]), sum);
    });
  }
  S::store(acc, sum);
}

// Dot<max_code> is the ISA's for codes up to max_code.
template <typename S, template <std::uint8_t> typename Dot, DType... kDTypes>
consteval void set_gemvs_of(KernelTable& table) {
  ((table.gemv_i8[static_cast<std::size_t>(kDTypes)] = gemv_i8<S, Dot<kFormat<S, kDTypes>.max_code>, kDTypes>), ...);
  ((table.gemv_tokens[static_cast<std::size_t>(kDTypes)] = kMostGemvTokens<S, kDTypes>), ...);
}

// Types whose blocks have one scale, which stands at their beginning.
template <typename S, template <std::uint8_t> typename Dot>
consteval void set_small_block_gemvs(KernelTable& table) {
  set_gemvs_of<S, Dot, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kIQ4_NL,
               DType::kMXFP4>(table);
}

template <typename S, template <std::uint8_t> typename Dot>
consteval void set_gemvs(KernelTable& table) {
  set_small_block_gemvs<S, Dot>(table);
  set_gemvs_of<S, Dot, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_XS>(table);
  table.gemv_f32[static_cast<std::size_t>(DType::kF32)] = gemv_f32<S, PlainF32<S>>;
  table.gemv_f32[static_cast<std::size_t>(DType::kF16)] = gemv_f32<S, PlainF16<S>>;
  table.gemv_f32[static_cast<std::size_t>(DType::kBF16)] = gemv_f32<S, PlainBF16<S>>;
}

}  // namespace carat::loops
