// The unpackers of a table, written once over a register vocabulary S (simd_*.h): block by block with prefetching,
// incomplete panels by way of a copy padded with zeros.
#pragma once

#include "kernels/unpack_blocks.h"

namespace carat::loops {

template <typename S, DType kDType>
inline constexpr PanelFormat kFormat = kPanelFormats.of[static_cast<std::size_t>(kDType)];

template <typename S>
[[gnu::always_inline]] inline BlockSource<S> block_source(const WeightRows& rows, std::size_t byte) {
  const std::byte* later = rows.later == nullptr ? rows.first : rows.later;
  return {S::Rows::from(rows.first + byte, rows.row_bytes), later + kPanelRows * byte};
}

// The bytes first .. first + count of the rows there are, and zeros for those that are missing.
template <typename S, std::size_t kBytes>
inline void copy_rows(const WeightRows& rows, std::size_t first, std::size_t count,
                      std::byte (&copy)[kPanelRows][kBytes]) {
  __builtin_memset(copy, 0, sizeof(copy));
  for (std::size_t row = 0; row < rows.rows; ++row) {
    __builtin_memcpy(copy[row], rows.first + row * rows.row_bytes + first, count);
  }
}

// Unpacks a block of fewer than 16 rows.
template <typename S, DType kDType>
[[gnu::noinline]] void unpack_incomplete(const WeightRows& rows, std::size_t first_byte, PanelTarget<S> to) {
  using B = Block<S, kDType>;
  constexpr std::size_t kGroup = kFormat<S, kDType>.group;
  constexpr bool kHasMinimum = kFormat<S, kDType>.has_minimum;
  std::byte copy[kPanelRows][B::kBytes];
  copy_rows<S>(rows, first_byte, B::kBytes, copy);
  BlockSource<S> from{S::Rows::from(copy[0], B::kBytes), copy[0]};
  B::unpack(from, to);
  for (std::size_t row = rows.rows; row < kPanelRows; ++row) {
    for (std::size_t quad = 0; quad < B::kValues / 4; ++quad) {
      __builtin_memset(to.first_codes + (quad * kPanelRows + row) * 4, 0, 4);
    }
    for (std::size_t group = 0; group < B::kValues / kGroup; ++group) {
      to.scales[group * kPanelRows + row] = 0;
      if constexpr (kHasMinimum) to.minimums[group * kPanelRows + row] = 0;
    }
  }
}

// Unpacks block after block to `to`; after each one, next(its first column, to) may use it and move on.
template <typename S, DType kDType, typename Next>
[[gnu::always_inline]] inline void for_each_block(const WeightRows& rows, std::size_t first_col, std::size_t cols,
                                                  PanelTarget<S> to, const Next& next) {
  using B = Block<S, kDType>;
  const std::size_t first_byte = first_col / B::kValues * B::kBytes;
  if (rows.rows == kPanelRows) {
    BlockSource<S> from = block_source<S>(rows, first_byte);
    for (std::size_t col = 0; col < cols; col += B::kValues) {
      B::unpack(from, to);
      next(col, to);
      from.advance(B::kBytes);
    }
  } else {
    for (std::size_t col = 0; col < cols; col += B::kValues) {
      unpack_incomplete<S, kDType>(rows, first_byte + col / B::kValues * B::kBytes, to);
      next(col, to);
    }
  }
}

template <typename S, DType kDType>
void unpack_i8(const WeightRows& rows, std::size_t first_col, std::size_t cols, const PanelI8& panel) {
  using B = Block<S, kDType>;
  constexpr std::size_t kScales = B::kValues / kFormat<S, kDType>.group * kPanelRows;
  const auto move_on = [](std::size_t, PanelTarget<S>& to) {
    to.first_codes += B::kValues * kPanelRows;
    to.scales += kScales;
    if constexpr (kFormat<S, kDType>.has_minimum) to.minimums += kScales;
  };
  for_each_block<S, kDType>(rows, first_col, cols, {panel.codes, panel.scales, panel.minimums}, move_on);
}

// scale * (code - zero) - minimum, of a block at a time.
template <typename S, DType kDType>
void unpack_f32(const WeightRows& rows, std::size_t first_col, std::size_t cols, float* panel,
                std::size_t panel_stride) {
  using B = Block<S, kDType>;
  constexpr std::size_t kGroup = kFormat<S, kDType>.group;
  constexpr bool kHasMinimum = kFormat<S, kDType>.has_minimum;
  constexpr std::size_t kGroups = B::kValues / kGroup;
  std::uint8_t codes[B::kValues * kPanelRows];
  float scales[kGroups * kPanelRows];
  float minimums[kHasMinimum ? kGroups * kPanelRows : 1];
  const auto multiply_out = [&](std::size_t col, const PanelTarget<S>&) {
    for (std::size_t group = 0; group < kGroups; ++group) {
      const auto scale = S::load(scales + group * kPanelRows);
      for (std::size_t i = group * kGroup; i < (group + 1) * kGroup; i += 4) {
        const auto four = S::load_i32(codes + i * kPanelRows);
        unroll<4>([&](auto index) {
          constexpr std::size_t kIndex = decltype(index)::kValue;
          const auto code = S::sub_i32(lane_field<S, 8 * kIndex, 8>(four), S::set1_i32(kFormat<S, kDType>.zero));
          auto value = S::mul(scale, S::to_f32(code));
          if constexpr (kHasMinimum) value = S::sub(value, S::load(minimums + group * kPanelRows));
          if (rows.rows < kPanelRows) value = S::keep_first(value, rows.rows);
          S::store(panel + (col + i + kIndex) * panel_stride, value);
        });
      }
    }
  };
  for_each_block<S, kDType>(rows, first_col, cols, {codes, scales, minimums}, multiply_out);
}

// Types of plain numbers: 16 bytes of each row, transposed, are 4 or 8 columns. Value::load_columns(bytes, store) calls
// store(column, values).
template <typename S, typename Value>
void unpack_plain(const WeightRows& rows, std::size_t first_col, std::size_t cols, float* panel,
                  std::size_t panel_stride) {
  constexpr std::size_t kStep = 16 / Value::kBytes;
  std::size_t col = 0;
  const auto store_up_to = [&](std::size_t end) {
    return [&panel, &col, panel_stride, end](std::size_t i, typename S::F32 value) {
      if (col + i < end) S::store(panel + (col + i) * panel_stride, value);
    };
  };
  if (rows.rows == kPanelRows) {
    BlockSource<S> from = block_source<S>(rows, first_col * Value::kBytes);
    for (; col + kStep <= cols; col += kStep) {
      Value::load_columns(load_rows<S>(from, 0), store_up_to(col + kStep));
      from.advance(16);
    }
  }
  for (; col < cols; col += kStep) {
    const std::size_t count = cols - col < kStep ? cols - col : kStep;
    std::byte copy[kPanelRows][16];
    copy_rows<S>(rows, (first_col + col) * Value::kBytes, count * Value::kBytes, copy);
    Value::load_columns(S::load_rows(S::Rows::from(copy[0], 16), 0), store_up_to(cols));
  }
}

template <typename S>
struct PlainF32 {
  static constexpr std::size_t kBytes = 4;
  template <typename Store>
  [[gnu::always_inline]] static void load_columns(const typename S::Columns& bytes, const Store& store) {
    unroll<4>([&](auto i) { store(decltype(i)::kValue, S::floats(bytes.at[decltype(i)::kValue])); });
  }
};

template <typename S>
struct PlainF16 {
  static constexpr std::size_t kBytes = 2;
  template <typename Store>
  [[gnu::always_inline]] static void load_columns(const typename S::Columns& bytes, const Store& store) {
    unroll<4>([&](auto i) {
      store(2 * decltype(i)::kValue, lower_f16<S>(bytes.at[decltype(i)::kValue]));
      store(2 * decltype(i)::kValue + 1, upper_f16<S>(bytes.at[decltype(i)::kValue]));
    });
  }
};

template <typename S>
struct PlainBF16 {
  static constexpr std::size_t kBytes = 2;
  template <typename Store>
  [[gnu::always_inline]] static void load_columns(const typename S::Columns& bytes, const Store& store) {
    unroll<4>([&](auto i) {
      const auto pair = bytes.at[decltype(i)::kValue];
      store(2 * decltype(i)::kValue, S::floats(S::template shl<16>(pair)));
      store(2 * decltype(i)::kValue + 1, S::floats(S::bit_and(pair, S::set1_i32(0xffff0000U))));
    });
  }
};

}  // namespace carat::loops
