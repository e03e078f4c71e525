// Every entry of every table that this processor can run against the reference table: the same bits, whatever the
// length and the alignment, and nothing written beyond the outputs.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu.h"
#include "kernels/kernel_test_support.h"
#include "kernels/tables.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

class Kernel : public testing::TestWithParam<const KernelTable*> {
 protected:
  const KernelTable& table() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Table, Kernel, testing::ValuesIn(tables_to_test()), table_name);

// Lengths up to two vectors and one more, and some in the middle of the loops.
std::vector<std::size_t> lengths() {
  std::vector<std::size_t> all;
  for (std::size_t n = 0; n <= 33; ++n) all.push_back(n);
  all.insert(all.end(), {63, 100, 256, 1000});
  return all;
}

// Calls f(length, offsets of three operands), offsets in elements from a 64-byte boundary.
template <typename F>
void for_lengths_and_offsets(const F& f) {
  constexpr std::array<std::array<std::size_t, 3>, 3> kOffsets{{{0, 0, 0}, {1, 3, 5}, {7, 2, 1}}};
  for (const std::size_t n : lengths()) {
    for (const auto& offsets : kOffsets) {
      SCOPED_TRACE(testing::Message() << "n = " << n << ", offset " << offsets[0]);
      f(n, offsets);
      if (testing::Test::HasFailure()) return;
    }
  }
}

// run(table, x, n, y): y is read and written, or only written.
template <typename Run>
void compare(const KernelTable& table, const Run& run) {
  Values values;
  for_lengths_and_offsets([&](std::size_t n, const auto& offsets) {
    const Guarded<float> x(values.any(n), offsets[0]);
    const std::vector<float> before = values.any(n);
    Guarded<float> expected(before, 0);
    Guarded<float> actual(before, offsets[1]);
    run(reference_kernels, x.data(), n, expected.data());
    run(table, x.data(), n, actual.data());
    expect_same(actual, expected);
  });
}

TEST_P(Kernel, Add) {
  compare(table(), [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.add(x, n, y); });
}

TEST_P(Kernel, Mul) {
  compare(table(), [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.mul(x, n, y); });
}

TEST_P(Kernel, Scale) {
  compare(table(), [](const KernelTable& k, const float*, std::size_t n, float* y) { k.scale(0.3F, n, y); });
}

TEST_P(Kernel, Clamp) {
  compare(table(),
          [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.clamp(-0.5F, 1.25F, x, n, y); });
  compare(table(), [](const KernelTable& k, const float*, std::size_t n, float* y) { k.clamp(-2, 0, y, n, y); });
}

TEST_P(Kernel, ScaleAdd) {
  compare(table(), [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.scale_add(-1.7F, x, n, y); });
}

TEST_P(Kernel, GeluMul) {
  compare(table(), [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.gelu_mul(x, y, n, y); });
  compare(table(), [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.gelu_mul(y, x, n, y); });
}

TEST_P(Kernel, SigmoidMul) {
  compare(table(), [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.sigmoid_mul(x, y, n, y); });
  compare(table(), [](const KernelTable& k, const float*, std::size_t n, float* y) { k.sigmoid_mul(y, y, n, y); });
}

TEST_P(Kernel, SoftCap) {
  compare(table(), [](const KernelTable& k, const float*, std::size_t n, float* y) { k.soft_cap(30.0F, n, y); });
}

TEST_P(Kernel, RmsNorm) {
  compare(table(),
          [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.rms_norm(y, x, 1e-6F, n, y); });
  compare(table(),
          [](const KernelTable& k, const float* x, std::size_t n, float* y) { k.rms_norm(x, nullptr, 0, n, y); });
  // Without special values, which make every element NaN.
  Values values;
  for_lengths_and_offsets([&](std::size_t n, const auto& offsets) {
    const Guarded<float> x(values.normal(n), offsets[0]);
    const Guarded<float> weight(values.normal(n), offsets[1]);
    Guarded<float> expected(std::vector<float>(n), 0);
    Guarded<float> actual(std::vector<float>(n), offsets[2]);
    reference_kernels.rms_norm(x.data(), weight.data(), 1e-6F, n, expected.data());
    table().rms_norm(x.data(), weight.data(), 1e-6F, n, actual.data());
    expect_same(actual, expected);
  });
}

// The math functions on floats of all magnitudes.
TEST_P(Kernel, MathOverAllMagnitudes) {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < 1ULL << 32; bits += 65521)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  const std::vector<float> ones(x.size(), 1.0F);
  const auto run = [&](const KernelTable& k) {
    std::vector<float> out = x;
    k.soft_cap(1.0F, out.size(), out.data());
    std::vector<float> gelu(x.size());
    k.gelu_mul(x.data(), ones.data(), x.size(), gelu.data());
    out.insert(out.end(), gelu.begin(), gelu.end());
    std::vector<float> exp = x;
    out.push_back(k.exp_shifted(0.0F, exp.size(), exp.data()));
    out.insert(out.end(), exp.begin(), exp.end());
    return out;
  };
  expect_same(run(table()), run(reference_kernels));
}

TEST_P(Kernel, ExpShifted) {
  Values values;
  for_lengths_and_offsets([&](std::size_t n, const auto& offsets) {
    for (const bool with_specials : {false, true}) {
      std::vector<float> x = with_specials ? values.any(n) : values.normal(n);
      if (n > 3) x[3] = -std::numeric_limits<float>::infinity();
      for (std::size_t i = 4; i < n; i += 3) x[i] *= 40;  // many of them close to where exp becomes 0
      Guarded<float> expected(x, 0);
      Guarded<float> actual(x, offsets[0]);
      const float expected_sum = reference_kernels.exp_shifted(1.5F, n, expected.data());
      const float actual_sum = table().exp_shifted(1.5F, n, actual.data());
      expect_same(actual, expected);
      expect_same(std::vector{actual_sum}, std::vector{expected_sum});
    }
  });
}

TEST_P(Kernel, Max) {
  Values values;
  for_lengths_and_offsets([&](std::size_t n, const auto& offsets) {
    std::vector<float> x = values.any(n);
    std::vector<float> below_zero = values.normal(n);
    for (float& value : below_zero) value = -std::fabs(value);
    std::vector<float> zeros(n, -0.0F);
    if (n > 0) zeros[n - 1] = 0.0F;
    for (const auto& input : {x, below_zero, zeros}) {
      const Guarded<float> in(input, offsets[0]);
      expect_same(std::vector{table().max(in.data(), n)}, std::vector{reference_kernels.max(in.data(), n)});
    }
  });
}

TEST_P(Kernel, Rope) {
  Values values;
  for_lengths_and_offsets([&](std::size_t pairs, const auto& offsets) {
    const std::size_t half = pairs + offsets[0];
    const Guarded<float> cos(values.normal(pairs), offsets[0]);
    const Guarded<float> sin(values.normal(pairs), offsets[1]);
    const std::vector<float> x = values.any(2 * half);
    Guarded<float> expected(x, 0);
    Guarded<float> actual(x, offsets[2]);
    reference_kernels.rope(cos.data(), sin.data(), pairs, half, expected.data());
    table().rope(cos.data(), sin.data(), pairs, half, actual.data());
    expect_same(actual, expected);
  });
}

// is_nan tells which results may differ in their bits.
template <typename Is16BitNan>
void compare_to_16(const KernelTable& table, void (*KernelTable::*entry)(const float*, std::size_t, std::uint16_t*),
                   const Is16BitNan& is_nan) {
  Values values;
  for_lengths_and_offsets([&](std::size_t n, const auto& offsets) {
    const Guarded<float> x(values.any(n), offsets[0]);
    Guarded<std::uint16_t> expected(std::vector<std::uint16_t>(n), 0);
    Guarded<std::uint16_t> actual(std::vector<std::uint16_t>(n), offsets[1]);
    (reference_kernels.*entry)(x.data(), n, expected.data());
    (table.*entry)(x.data(), n, actual.data());
    for (std::size_t i = 0; i < n; ++i) {
      const bool same = actual.data()[i] == expected.data()[i];
      EXPECT_TRUE(same || (is_nan(actual.data()[i]) && is_nan(expected.data()[i]))) << x.data()[i];
    }
    actual.expect_guards();
  });
}

bool is_nan_f16(std::uint16_t bits) {
  return (bits & 0x7fffU) > 0x7c00U;
}
bool is_nan_bf16(std::uint16_t bits) {
  return (bits & 0x7fffU) > 0x7f80U;
}

TEST_P(Kernel, ToF16) {
  compare_to_16(table(), &KernelTable::to_f16, is_nan_f16);
}

TEST_P(Kernel, ToBf16) {
  compare_to_16(table(), &KernelTable::to_bf16, is_nan_bf16);
}

constexpr DType kCacheTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0};

// Rows of a type, of numbers of all kinds where the type has them.
std::vector<std::byte> cache_rows(DType dtype, std::size_t rows, std::size_t cols, bool with_specials, Values& values) {
  const std::size_t bytes = *row_bytes(dtype, cols);
  std::vector<std::byte> memory(rows * bytes);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::vector<float> x = with_specials && dtype != DType::kQ8_0 ? values.any(cols) : values.normal(cols);
    quantize_row(dtype, x, std::span(memory).subspan(row * bytes, bytes));
  }
  return memory;
}

// run(table, rows in memory, columns, tokens, input, its stride, output, its stride); there is an output for each
// column of a token, or for each row.
template <typename Run>
void compare_cache_kernels(const KernelTable& table, bool has_output_by_row, const Run& run) {
  Values values;
  for (const DType dtype : kCacheTypes) {
    for (const std::size_t cols : {32U, 96U, 160U, 512U}) {
      for (const std::size_t rows : {1U, 2U, 5U, 8U, 17U, 64U}) {
        for (const std::size_t tokens : {1U, 2U, 3U, 4U, 7U, 8U, 13U}) {
          SCOPED_TRACE(testing::Message() << dtype_info(dtype).name << ", " << cols << " columns, " << rows << " rows, "
                                          << tokens << " tokens");
          const bool with_specials = tokens == 3;
          const std::vector<std::byte> memory = cache_rows(dtype, rows, cols, with_specials, values);
          const CacheRows source{memory.data(), *row_bytes(dtype, cols), rows, memory.data()};
          const std::size_t in_stride = (has_output_by_row ? cols : rows) + 3;
          const std::size_t out_stride = (has_output_by_row ? rows : cols) + 5;
          const Guarded<float> x(values.normal(tokens * in_stride), 1);
          const std::vector<float> before = values.normal(tokens * out_stride);
          Guarded<float> expected(before, 0);
          Guarded<float> actual(before, 3);
          run(reference_kernels, dtype, source, cols, tokens, x.data(), in_stride, expected.data(), out_stride);
          run(table, dtype, source, cols, tokens, x.data(), in_stride, actual.data(), out_stride);
          expect_same(actual, expected);
          if (testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

TEST_P(Kernel, DotKeys) {
  compare_cache_kernels(
      table(), true,
      [](const KernelTable& k, DType dtype, const CacheRows& keys, std::size_t cols, std::size_t tokens, const float* q,
         std::size_t q_stride, float* scores, std::size_t score_stride) {
        k.dot_keys[static_cast<std::size_t>(dtype)](keys, cols, q, q_stride, tokens, scores, score_stride);
      });
}

TEST_P(Kernel, MixValues) {
  compare_cache_kernels(
      table(), false,
      [](const KernelTable& k, DType dtype, const CacheRows& rows, std::size_t cols, std::size_t tokens,
         const float* weights, std::size_t weight_stride, float* out, std::size_t out_stride) {
        k.mix_values[static_cast<std::size_t>(dtype)](rows, cols, weights, weight_stride, tokens, out, out_stride);
      });
}

TEST_P(Kernel, QuantizeI8) {
  Values values;
  for (const std::size_t n : {32U, 64U, 96U, 1024U}) {
    for (const std::size_t offset : {0U, 1U, 7U}) {
      std::vector<float> input = values.normal(n);
      for (std::size_t i = 0; i < n; ++i) {
        if (i / 32 % 4 == 1) input[i] *= 1e-32F;               // near the smallest block that is not zero
        if (i / 32 % 4 == 2) input[i] = std::round(input[i]);  // ties
      }
      if (n > 200) {
        const std::vector<float> specials = values.any(n);
        std::copy(specials.begin() + 100, specials.begin() + 600, input.begin() + 100);
      }
      const Guarded<float> x(input, offset);
      Guarded<std::int8_t> expected_codes(std::vector<std::int8_t>(n), 0);
      Guarded<std::int8_t> actual_codes(std::vector<std::int8_t>(n), offset);
      Guarded<float> expected_scales(std::vector<float>(n / 32), 0);
      Guarded<float> actual_scales(std::vector<float>(n / 32), offset);
      Guarded<std::int32_t> expected_sums(std::vector<std::int32_t>(n / 16), 0);
      Guarded<std::int32_t> actual_sums(std::vector<std::int32_t>(n / 16), offset);
      reference_kernels.quantize_i8(x.data(), n, expected_codes.data(), expected_scales.data(), expected_sums.data());
      table().quantize_i8(x.data(), n, actual_codes.data(), actual_scales.data(), actual_sums.data());
      expect_same(actual_codes, expected_codes);
      expect_same(actual_scales, expected_scales);
      expect_same(actual_sums, expected_sums);
    }
  }
}

}  // namespace
}  // namespace carat
