// gemv_i8 and gemv_f32: one token's product with 16 rows of weights straight from the file, written once over a
// register vocabulary S (simd_*.h). Blocks are unpacked as for a panel, but meet the activations in registers.
#pragma once

#include "kernels/loops_gemm.h"
#include "kernels/loops_unpack.h"

namespace carat::loops {

// Takes a block's codes to dots with a token's. Dot: starts from a number, adds four columns at a time, tells the
// result; codes it takes for kCodeShift less than they are.
template <typename S, typename Dot, DType kDType>
struct DotTarget {
  static constexpr std::size_t kGroup = kFormat<S, kDType>.group;
  static constexpr std::size_t kGroups = Block<S, kDType>::kValues / kGroup;

  const std::int8_t* x;  // the token's codes from the block's first column on
  Dot dots[kGroups];
  typename S::F32 scales[kGroups];
  typename S::F32 minimums[kGroups];  // unused where the format has none

  [[gnu::always_inline]] void codes(std::size_t first, typename S::I32 values) {
    dots[first / kGroup].add(values, four_codes<S>(x + first));
  }
  [[gnu::always_inline]] void scale(std::size_t group, typename S::F32 value) { scales[group] = value; }
  [[gnu::always_inline]] void minimum(std::size_t group, typename S::F32 value) { minimums[group] = value; }
};

template <typename S, typename Dot, DType kDType>
void gemv_i8(const WeightRows& rows, std::size_t cols, const ActivationsI8& x, float* acc) {
  using B = Block<S, kDType>;
  using Target = DotTarget<S, Dot, kDType>;
  constexpr bool kHasMinimum = kFormat<S, kDType>.has_minimum;
  constexpr std::int32_t kZero = kFormat<S, kDType>.zero - Dot::kCodeShift;
  TokenTerms<S, 1, Target::kGroup> terms;
  BlockSource<S> from = block_source<S>(rows, 0);
  auto sum = S::load(acc);
  for (std::size_t first = 0; first < cols; first += kTermColumns) {
    const std::size_t end = cols - first < kTermColumns ? cols : first + kTermColumns;
    prepare_terms<S, kHasMinimum>(x, first, (end - first) / Target::kGroup, kZero, terms);
    for (std::size_t col = first; col < end; col += B::kValues) {
      const std::size_t first_group = (col - first) / Target::kGroup;
      Target to;
      to.x = x.codes + col;
      unroll<Target::kGroups>([&](auto g) {
        constexpr std::size_t kIndex = decltype(g)::kValue;
        to.dots[kIndex].start(kHasMinimum ? 0 : terms.starts[0][first_group + kIndex]);
      });
      B::unpack(from, to);
      from.advance(B::kBytes);
      unroll<Target::kGroups>([&](auto g) {
        constexpr std::size_t kIndex = decltype(g)::kValue;
        const float x_scale = x.scales[(col + kIndex * Target::kGroup) / kActivationBlock];
        sum = S::fma(S::mul(to.scales[kIndex], S::set1(x_scale)), S::to_f32(to.dots[kIndex].result()), sum);
        if constexpr (kHasMinimum) {
          sum = S::fnma(to.minimums[kIndex], S::set1(terms.weighted_sums[0][first_group + kIndex]), sum);
        }
      });
    }
  }
  S::store(acc, sum);
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
template <typename S, template <std::uint8_t> typename Dot>
consteval void set_gemvs(KernelTable& table) {
  const auto set = [&table]<DType... kDTypes>() {
    ((table.gemv_i8[static_cast<std::size_t>(kDTypes)] = gemv_i8<S, Dot<kFormat<S, kDTypes>.max_code>, kDTypes>), ...);
  };
  set.template
  operator()<DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
             DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4>();
  table.gemv_f32[static_cast<std::size_t>(DType::kF32)] = gemv_f32<S, PlainF32<S>>;
  table.gemv_f32[static_cast<std::size_t>(DType::kF16)] = gemv_f32<S, PlainF16<S>>;
  table.gemv_f32[static_cast<std::size_t>(DType::kBF16)] = gemv_f32<S, PlainBF16<S>>;
}

}  // namespace carat::loops
