// The panel primitives (unpacking, products) of every table that this processor can run against the reference table.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/float16.h"
#include "kernels/kernel_test_support.h"
#include "tensor/dtype.h"

namespace carat {
namespace {

class PanelKernel : public testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Table, PanelKernel, testing::ValuesIn(tables_to_test()), table_name);

// Calls f(dtype) for every type the reference has such an unpacker for.
template <typename F>
void for_types(const F& f) {
  for (std::size_t type = 0; type < kDTypeCount; ++type) {
    if (reference_kernels.unpack_f32[type] == nullptr) continue;
    SCOPED_TRACE(dtype_info(static_cast<DType>(type)).name);
    f(static_cast<DType>(type));
    if (testing::Test::HasFailure()) return;
  }
}

// Random bytes as rows of a type: codes and scales of any value, NaN and infinity too. The last row ends where the
// allocation ends, for the address sanitizer.
struct RandomRows {
  RandomRows(Values& values, DType dtype, std::size_t row_count, std::size_t cols, std::size_t gap)
      : bytes(values.bytes((row_count - 1) * (*row_bytes(dtype, cols) + gap) + *row_bytes(dtype, cols))),
        rows{reinterpret_cast<const std::byte*>(bytes.data()), *row_bytes(dtype, cols) + gap, row_count} {}
  std::vector<std::uint8_t> bytes;
  WeightRows rows;
};

TEST_P(PanelKernel, UnpackI8) {
  Values values;
  for_types([&](DType dtype) {
    const auto type = static_cast<std::size_t>(dtype);
    const PanelFormat& format = panel_format(dtype);
    ASSERT_EQ(table().unpack_i8[type] != nullptr, format.max_code != 0);
    if (format.max_code == 0) return;
    const std::size_t step = dtype_info(dtype).block_values;
    for (const std::size_t row_count : {1U, 7U, 15U, 16U}) {
      for (const std::size_t blocks : {1U, 2U, 5U}) {
        for (const std::size_t offset : {0U, 1U, 5U}) {
          const RandomRows source(values, dtype, row_count, (blocks + offset) * step, offset);
          const std::size_t n = blocks * step * kPanelRows;
          const std::size_t scales = n / format.group;
          Guarded<std::uint8_t> expected_codes(std::vector<std::uint8_t>(n), 0);
          Guarded<float> expected_scales(std::vector<float>(scales), 0);
          Guarded<float> expected_minimums(std::vector<float>(scales), 0);
          Guarded<std::uint8_t> actual_codes(std::vector<std::uint8_t>(n), offset);
          Guarded<float> actual_scales(std::vector<float>(scales), offset);
          Guarded<float> actual_minimums(std::vector<float>(scales), offset);
          reference_kernels.unpack_i8[type](source.rows, offset * step, blocks * step,
                                            {expected_codes.data(), expected_scales.data(), expected_minimums.data()});
          table().unpack_i8[type](
              source.rows, offset * step, blocks * step,
              {actual_codes.data(), actual_scales.data(), format.has_minimum ? actual_minimums.data() : nullptr});
          expect_same(actual_codes, expected_codes);
          expect_same(actual_scales, expected_scales);
          expect_same(actual_minimums, expected_minimums);
          const std::vector<std::uint8_t> codes = actual_codes.values();
          EXPECT_LE(*std::ranges::max_element(codes), format.max_code);
        }
      }
    }
  });
}

TEST_P(PanelKernel, UnpackF32) {
  Values values;
  for_types([&](DType dtype) {
    const auto type = static_cast<std::size_t>(dtype);
    if (table().unpack_f32[type] == nullptr) return;
    const std::size_t step = dtype_info(dtype).block_values;
    for (const std::size_t row_count : {1U, 7U, 15U, 16U}) {
      for (const std::size_t blocks : {1U, 2U, 3U, 4U, 7U, 8U, 9U, 16U, 31U}) {
        if (step > 1 && blocks > 4) continue;
        for (const std::size_t offset : {0U, 1U, 5U}) {
          // Rows of floats lie at multiples of their size.
          const RandomRows source(values, dtype, row_count, (blocks + offset) * step, offset * 4);
          const std::size_t stride = kPanelRows + offset;
          const std::vector<float> before(blocks * step * stride, 7.0F);
          Guarded<float> expected(before, 0);
          Guarded<float> actual(before, offset);
          reference_kernels.unpack_f32[type](source.rows, offset * step, blocks * step, expected.data(), stride);
          table().unpack_f32[type](source.rows, offset * step, blocks * step, actual.data(), stride);
          expect_same(actual, expected);
        }
      }
    }
  });
}

TEST_P(PanelKernel, GemmF32) {
  Values values;
  for (const std::size_t cols : {0U, 1U, 2U, 3U, 16U, 33U, 200U}) {
    for (const std::size_t tokens : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 11U, 12U, 13U, 15U, 16U, 25U}) {
      for (const std::size_t offset : {0U, 1U, 3U}) {
        const bool with_specials = offset == 3;
        const auto draw = [&](std::size_t n) { return with_specials ? values.any(n) : values.normal(n); };
        const std::size_t panel_stride = kPanelRows + offset;
        const std::size_t x_stride = cols + offset;
        const Guarded<float> panel(draw(cols * panel_stride), offset);
        const Guarded<float> x(draw(tokens * x_stride), offset);
        const std::vector<float> before = values.normal(tokens * panel_stride);
        Guarded<float> expected(before, 0);
        Guarded<float> actual(before, offset);
        reference_kernels.panel_gemm_f32(panel.data(), panel_stride, cols, x.data(), x_stride, tokens, expected.data(),
                                         panel_stride);
        table().panel_gemm_f32(panel.data(), panel_stride, cols, x.data(), x_stride, tokens, actual.data(),
                               panel_stride);
        expect_same(actual, expected);
      }
    }
  }
}

// Activations: all random, or all at one end, which is where sums in 16 bits would overflow.
enum class Codes { kRandom, kLargest, kSmallest, kAlternating };

struct RandomActivations {
  RandomActivations(Values& values, std::size_t tokens, std::size_t stride, Codes kind)
      : codes(tokens * stride), scales(values.normal(tokens * stride / 32)), sums(tokens * stride / 16) {
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const int draw = static_cast<int>(values.random()() % 255) - 127;
      const int ends = kind == Codes::kLargest || (kind == Codes::kAlternating && i % 2 == 0) ? 127 : -127;
      codes[i] = static_cast<std::int8_t>(kind == Codes::kRandom ? draw : ends);
      sums[i / 16] += codes[i];
    }
  }
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;
};

TEST_P(PanelKernel, GemmI8) {
  Values values;
  for_types([&](DType dtype) {
    const PanelFormat& format = panel_format(dtype);
    if (format.max_code == 0) return;
    for (const Codes kind : {Codes::kRandom, Codes::kLargest, Codes::kSmallest, Codes::kAlternating}) {
      for (const std::size_t cols : {32U, 64U, 256U, 512U, 544U, 1088U}) {
        for (const std::size_t tokens : {1U, 2U, 3U, 4U, 5U, 7U, 8U, 12U, 13U, 31U, 35U}) {
          if (cols > 64 && tokens == 31) continue;
          const std::size_t offset = tokens % 3;
          std::vector<std::uint8_t> panel_codes = values.bytes(cols * kPanelRows);
          for (std::uint8_t& code : panel_codes) {
            code = kind == Codes::kRandom ? static_cast<std::uint8_t>(code % (format.max_code + 1U))
                                          : (code % 4 == 0 ? std::uint8_t{0} : format.max_code);
          }
          const std::size_t groups = cols / format.group * kPanelRows;
          const Guarded<std::uint8_t> codes(panel_codes, offset);
          const Guarded<float> scales(kind == Codes::kLargest ? values.any(groups) : values.normal(groups), offset);
          const Guarded<float> minimums(values.normal(groups), offset);
          // PanelI8 is for writing too; panel_gemm_i8 does not.
          const PanelI8 panel{const_cast<std::uint8_t*>(codes.data()), const_cast<float*>(scales.data()),
                              format.has_minimum ? const_cast<float*>(minimums.data()) : nullptr};
          const std::size_t stride = cols + 32 * offset;
          const RandomActivations random(values, tokens, stride, kind);
          const ActivationsI8 x{random.codes.data(), random.scales.data(), random.sums.data(), stride};
          const std::size_t acc_stride = kPanelRows + offset;
          const std::vector<float> before = values.normal(tokens * acc_stride);
          Guarded<float> expected(before, 0);
          Guarded<float> actual(before, offset);
          reference_kernels.panel_gemm_i8(format, panel, cols, x, tokens, expected.data(), acc_stride);
          table().panel_gemm_i8(format, panel, cols, x, tokens, actual.data(), acc_stride);
          expect_same(actual, expected);
        }
      }
    }
  });
}

// One token straight from the file: the same bits as by way of a panel.
TEST_P(PanelKernel, GemvI8) {
  Values values;
  for_types([&](DType dtype) {
    const auto type = static_cast<std::size_t>(dtype);
    const PanelFormat& format = panel_format(dtype);
    const std::size_t most = table().gemv_tokens[type];
    ASSERT_EQ(most == 0, table().gemv_i8[type] == nullptr);
    if (most == 0) return;
    ASSERT_NE(format.max_code, 0);
    const std::size_t step = dtype_info(dtype).block_values;
    for (const Codes kind : {Codes::kRandom, Codes::kLargest, Codes::kSmallest, Codes::kAlternating}) {
      for (const std::size_t blocks : {1U, 2U, 5U, 17U}) {
        const std::size_t cols = blocks * step;
        const std::size_t offset = blocks % 3;
        const std::size_t rows = (1 + blocks % 3) * kPanelRows;
        const RandomRows source(values, dtype, rows, cols, offset);
        std::vector<std::uint8_t> codes(cols * kPanelRows);
        std::vector<float> scales(cols / format.group * kPanelRows);
        std::vector<float> minimums(scales.size());
        const PanelI8 panel{codes.data(), scales.data(), minimums.data()};
        for (std::size_t tokens = 1; tokens <= most; ++tokens) {
          const RandomActivations random(values, tokens, cols, kind);
          const ActivationsI8 x{random.codes.data(), random.scales.data(), random.sums.data(), cols};
          const std::size_t stride = rows + offset;
          const std::vector<float> before = values.normal(tokens * stride);
          Guarded<float> expected(before, 0);
          Guarded<float> actual(before, offset);
          for (std::size_t row = 0; row < rows; row += kPanelRows) {
            const WeightRows of_panel{source.rows.first + row * source.rows.row_bytes, source.rows.row_bytes,
                                      kPanelRows};
            reference_kernels.unpack_i8[type](of_panel, 0, cols, panel);
            reference_kernels.panel_gemm_i8(format, panel, cols, x, tokens, expected.data() + row, stride);
          }
          table().gemv_i8[type](source.rows, cols, x, tokens, actual.data(), stride);
          expect_same(actual, expected);
        }
      }
    }
  });
}

TEST_P(PanelKernel, GemvF32) {
  Values values;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    SCOPED_TRACE(dtype_info(dtype).name);
    const auto type = static_cast<std::size_t>(dtype);
    if (table().gemv_f32[type] == nullptr) continue;
    for (const std::size_t cols : {1U, 2U, 3U, 4U, 7U, 8U, 9U, 16U, 31U, 200U}) {
      for (const std::size_t offset : {0U, 1U, 5U}) {
        const RandomRows source(values, dtype, kPanelRows, cols, offset * 4);
        const std::vector<float> x = values.any(cols);
        std::vector<float> panel(cols * kPanelRows);
        const std::vector<float> before = values.normal(kPanelRows);
        Guarded<float> expected(before, 0);
        Guarded<float> actual(before, offset);
        reference_kernels.unpack_f32[type](source.rows, 0, cols, panel.data(), kPanelRows);
        reference_kernels.panel_gemm_f32(panel.data(), kPanelRows, cols, x.data(), cols, 1, expected.data(),
                                         kPanelRows);
        table().gemv_f32[type](source.rows, cols, x.data(), actual.data());
        expect_same(actual, expected);
      }
    }
  }
}

// The parts of pairs, equal to the bit but for what is so small that bf16 has no full precision for it.
void expect_same_pairs(const Guarded<std::uint16_t>& actual, const Guarded<std::uint16_t>& expected) {
  actual.expect_guards();
  const std::vector<std::uint16_t> found = actual.values();
  const std::vector<std::uint16_t> wanted = expected.values();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const float a = to_float(BF16{found[i]});
    const float b = to_float(BF16{wanted[i]});
    const bool both_small = std::abs(a) < 0x1p-125F && std::abs(b) < 0x1p-125F;
    if (both_small || (std::isnan(a) && std::isnan(b))) continue;
    ASSERT_EQ(found[i], wanted[i]) << i << ": " << a << ", " << b;
  }
}

TEST_P(PanelKernel, SplitAndPackPairs) {
  if (table().split_pairs == nullptr) GTEST_SKIP() << "has no tiles of bf16";
  Values values;
  for (const std::size_t cols : {1U, 2U, 15U, 16U, 33U, 64U}) {
    for (const std::size_t offset : {0U, 1U, 3U}) {
      const std::size_t stride = kPanelRows + offset;
      const Guarded<float> panel(values.any(cols * stride), offset);
      const auto blank = [&](std::size_t n, std::size_t at) {
        return Guarded<std::uint16_t>(std::vector<std::uint16_t>(n, 7), at);
      };
      const std::size_t packed = (cols + 1) / 2 * 2 * kPanelRows;
      Guarded<std::uint16_t> high[2] = {blank(packed, 0), blank(packed, offset)};
      Guarded<std::uint16_t> low[2] = {blank(packed, 0), blank(packed, offset)};
      reference_kernels.pack_pairs(panel.data(), stride, cols, high[0].data(), low[0].data());
      table().pack_pairs(panel.data(), stride, cols, high[1].data(), low[1].data());
      expect_same_pairs(high[1], high[0]);
      expect_same_pairs(low[1], low[0]);
      table().pack_pairs(panel.data(), stride, cols, high[1].data(), nullptr);
      expect_same_pairs(high[1], high[0]);

      Guarded<std::uint16_t> row_high[2] = {blank(cols, 0), blank(cols, offset)};
      Guarded<std::uint16_t> row_low[2] = {blank(cols, 0), blank(cols, offset)};
      reference_kernels.split_pairs(panel.data(), cols, row_high[0].data(), row_low[0].data());
      table().split_pairs(panel.data(), cols, row_high[1].data(), row_low[1].data());
      expect_same_pairs(row_high[1], row_high[0]);
      expect_same_pairs(row_low[1], row_low[0]);
    }
  }
}

// The reference sums in double; sums in float are off by at most half a unit in the last place for every term, of which
// there are three a column.
TEST_P(PanelKernel, GemmPairs) {
  if (table().panel_gemm_pairs == nullptr) GTEST_SKIP() << "has no tiles of bf16";
  Values values;
  const auto random_bf16 = [&](std::size_t n) {
    std::vector<std::uint16_t> bits;
    for (const float value : values.normal(n)) bits.push_back(to_bf16(value).bits);
    return bits;
  };
  for (const std::size_t cols : {32U, 64U, 224U}) {
    for (const std::size_t tokens : {1U, 3U, 15U, 16U, 17U, 31U, 32U, 33U, 64U, 79U}) {
      for (const bool has_low : {true, false}) {
        const std::size_t offset = tokens % 3;
        std::vector<std::uint16_t> high = random_bf16(cols * kPairRows);
        std::vector<std::uint16_t> low = random_bf16(cols * kPairRows);
        const PanelPairs panel{high.data(), has_low ? low.data() : nullptr};
        const std::size_t stride = cols + 32 * offset;
        const std::vector<std::uint16_t> x_high = random_bf16(tokens * stride);
        const std::vector<std::uint16_t> x_low = random_bf16(tokens * stride);
        const ActivationPairs x{x_high.data(), x_low.data(), stride};
        const std::size_t acc_stride = kPairRows + offset;
        const std::vector<float> before = values.normal(tokens * acc_stride);
        Guarded<float> expected(before, 0);
        Guarded<float> actual(before, offset);
        reference_kernels.panel_gemm_pairs(panel, cols, x, tokens, expected.data(), acc_stride);
        table().panel_gemm_pairs(panel, cols, x, tokens, actual.data(), acc_stride);
        actual.expect_guards();
        const auto terms = static_cast<float>(3 * cols);
        for (std::size_t i = 0; i < before.size(); ++i) {
          // Values are 3 on average: a term is 9, and a sum of n of them some sqrt(n) * 9.
          ASSERT_NEAR(actual.data()[i], expected.data()[i], terms * 0x1p-24F * 9 * std::sqrt(terms)) << i;
        }
        // A token's sums do not depend on those beside it.
        const std::size_t last = tokens - 1;
        Guarded<float> alone(std::vector<float>(before.end() - static_cast<std::ptrdiff_t>(acc_stride), before.end()),
                             0);
        table().panel_gemm_pairs(panel, cols, {x.high + last * stride, x.low + last * stride, stride}, 1, alone.data(),
                                 acc_stride);
        const std::vector<float> all = actual.values();
        expect_same(alone.values(), {all.end() - static_cast<std::ptrdiff_t>(acc_stride), all.end()});
      }
    }
  }
}

}  // namespace
}  // namespace carat
