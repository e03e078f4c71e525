#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "kernels/cpu.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

// A matrix of one type with the values it decodes to.
struct TestWeight {
  TestWeight(DType dtype, std::size_t rows, std::size_t cols, std::mt19937& random)
      : bytes(rows * row_bytes(dtype, cols).value()),
        values(rows * cols),
        view{dtype, bytes.data(), rows, cols, bytes.size() / rows} {
    std::normal_distribution<float> normal;
    for (float& value : values) value = normal(random);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto source = std::span(bytes).subspan(row * view.row_bytes, view.row_bytes);
      const auto decoded = std::span(values).subspan(row * cols, cols);
      quantize_row(dtype, decoded, source);
      dequantize_row(dtype, source, decoded);
    }
  }
  std::vector<std::byte> bytes;
  std::vector<float> values;  // [rows, cols]
  WeightMatrix view;
};

std::vector<float> random_floats(std::size_t n, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& value : values) value = normal(random);
  return values;
}

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                            DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ4_K, DType::kQ6_K};

// One sum of `cols` products in float32 is off by at most cols * eps * sum |w x|; 8-bit codes add half a step of
// max|x| / 127 for every value of their block of 32.
void expect_product(const TestWeight& weight, MatView<const float> x, MatView<const float> out, bool has_codes) {
  for (std::size_t t = 0; t < x.rows(); ++t) {
    float max_x = 0;
    for (const float value : x.row(t)) max_x = std::max(max_x, std::abs(value));
    for (std::size_t r = 0; r < weight.view.rows; ++r) {
      double sum = 0;
      double magnitude = 0;
      double weights = 0;
      for (std::size_t c = 0; c < x.cols(); ++c) {
        const double w = weight.values[r * x.cols() + c];
        sum += w * x.row(t)[c];
        magnitude += std::abs(w * x.row(t)[c]);
        weights += std::abs(w);
      }
      const double rounding = static_cast<double>(x.cols()) * 0x1p-23 * (magnitude + weights * max_x);
      const double quantising = has_codes ? weights * max_x / 127 * 0.51 : 0;
      ASSERT_NEAR(out.row(t)[r], sum, rounding + quantising) << "token " << t << ", row " << r;
    }
  }
}

TEST(Matmul, EqualsThePlainSumForAllTypesAndOddShapes) {
  std::mt19937 random(5);
  ThreadPool pool(2);
  for (const DType dtype : kTypes) {
    const std::size_t block = dtype_info(dtype).block_values;
    for (const std::size_t rows : {1U, 15U, 16U, 17U, 50U}) {
      for (const std::size_t blocks : {1U, 3U, 10U}) {
        const std::size_t cols = block == 1 ? blocks * 7 : blocks * block;
        const TestWeight weight(dtype, rows, cols, random);
        for (const std::size_t tokens : {1U, 2U, 13U, 33U}) {
          std::vector<float> x = random_floats(tokens * (cols + 3), random);
          std::vector<float> out(tokens * (rows + 5), -7.0F);
          const MatView<const float> x_view(x.data(), tokens, cols, cols + 3);
          const MatView<float> out_view(out.data(), tokens, rows, rows + 5);
          for (const ActivationType activations : {ActivationType::kF32, ActivationType::kI8}) {
            SCOPED_TRACE(str(dtype_info(dtype).name, " [", rows, ", ", cols, "], tokens ", tokens));
            Matmul matmul(select_kernels(), pool, activations);
            matmul(x_view, weight.view, out_view);
            expect_product(weight, x_view, out_view,
                           activations == ActivationType::kI8 && panel_format(dtype).max_code != 0);
            for (std::size_t t = 0; t < tokens; ++t) {
              for (std::size_t i = rows; i < rows + 5; ++i) ASSERT_EQ(out[t * (rows + 5) + i], -7.0F) << "overrun";
            }
          }
        }
      }
    }
  }
}

// Many rows meet wider panels of floats, block by block; each as if it were alone.
TEST(Matmul, ManyRowsMeetWiderPanels) {
  std::mt19937 random(11);
  constexpr std::size_t kTokens = 101;
  constexpr std::size_t kCols = 1024;  // more than is unpacked at a time
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ4_K}) {
    for (const std::size_t rows : {64U, 150U, 300U}) {
      const TestWeight weight(dtype, rows, kCols, random);
      const std::vector<float> x = random_floats(kTokens * kCols, random);
      ThreadPool one(1);
      Matmul alone(select_kernels(), one, ActivationType::kF32);
      std::vector<float> expected(kTokens * rows);
      for (std::size_t t = 0; t < kTokens; ++t) {
        alone({x.data() + t * kCols, 1, kCols}, weight.view, {expected.data() + t * rows, 1, rows});
      }
      for (const std::size_t threads : {1U, 3U}) {
        SCOPED_TRACE(str(dtype_info(dtype).name, ", ", rows, " weight rows, threads ", threads));
        ThreadPool pool(threads);
        Matmul together(select_kernels(), pool, ActivationType::kF32);
        std::vector<float> actual(kTokens * rows);
        together({x.data(), kTokens, kCols}, weight.view, {actual.data(), kTokens, rows});
        ASSERT_EQ(actual, expected);
      }
    }
  }
}

TEST(Matmul, ARowDependsNeitherOnItsBatchNorOnThreadsNorOnTheInstructionSet) {
  std::mt19937 random(6);
  constexpr std::size_t kTokens = 37;
  constexpr std::size_t kRows = 70;
  constexpr std::size_t kCols = 2560;  // more than is unpacked at a time
  for (const DType dtype : kTypes) {
    const TestWeight weight(dtype, kRows, kCols, random);
    const std::vector<float> x = random_floats(kTokens * kCols, random);
    const MatView<const float> x_view(x.data(), kTokens, kCols);
    for (const ActivationType activations : {ActivationType::kF32, ActivationType::kI8}) {
      ThreadPool one(1);
      std::vector<float> expected(kTokens * kRows);
      Matmul reference(select_kernels("reference"), one, activations);
      reference(x_view, weight.view, {expected.data(), kTokens, kRows});
      for (const KernelTable* kernels : all_kernels()) {
        if ((kernels->needs & ~cpu_features()) != 0) continue;
        SCOPED_TRACE(str(dtype_info(dtype).name, " on ", kernels->name));
        ThreadPool three(3);
        Matmul matmul(*kernels, three, activations);
        std::vector<float> together(kTokens * kRows);
        matmul(x_view, weight.view, {together.data(), kTokens, kRows});
        ASSERT_EQ(together, expected);
        std::vector<float> alone(kRows);
        for (const std::size_t t : {0U, 17U, 36U}) {
          matmul(x_view.row_range(t, 1), weight.view, {alone.data(), 1, kRows});
          ASSERT_TRUE(std::ranges::equal(alone, std::span(expected).subspan(t * kRows, kRows)));
        }
      }
    }
  }
}

TEST(Matmul, ProductsOfAGroupTakeTheirOwnRows) {
  std::mt19937 random(7);
  ThreadPool pool(2);
  Matmul matmul(select_kernels(), pool, ActivationType::kI8);
  const TestWeight a(DType::kQ4_0, 40, 64, random);
  const TestWeight b(DType::kBF16, 16, 64, random);
  const std::vector<float> x = random_floats(10 * 64, random);
  std::vector<float> out_a(4 * 40);
  std::vector<float> out_b(6 * 16);
  std::vector<float> none;
  const Product products[] = {
      {a.view, {out_a.data(), 4, 40}, 0}, {b.view, {out_b.data(), 6, 16}, 4}, {a.view, {none.data(), 0, 40}, 10}};
  const MatView<const float> x_view(x.data(), 10, 64);
  matmul(x_view, products);
  expect_product(a, x_view.row_range(0, 4), MatView<float>(out_a.data(), 4, 40), true);
  expect_product(b, x_view.row_range(4, 6), MatView<float>(out_b.data(), 6, 16), false);
}

TEST(Matmul, EveryPanelOfAGroupIsComputedHoweverManyWorkersShareIt) {
  std::mt19937 random(11);
  constexpr std::size_t kCols = 256;
  const TestWeight weights[] = {{DType::kQ4_K, 200, kCols, random},
                                {DType::kBF16, 16, kCols, random},  // one panel, for one worker
                                {DType::kQ6_K, 337, kCols, random},
                                {DType::kQ4_0, 80, kCols, random}};
  const std::vector<float> x = random_floats(kCols, random);
  const MatView<const float> x_view(x.data(), 1, kCols);
  for (const std::size_t threads : {1U, 2U, 3U, 7U}) {
    ThreadPool pool(threads);
    Matmul matmul(select_kernels(), pool, ActivationType::kI8);
    std::vector<std::vector<float>> outs;
    std::vector<Product> products;
    for (const TestWeight& weight : weights) {
      std::vector<float>& out = outs.emplace_back(weight.view.rows, -7.0F);
      products.push_back({weight.view, {out.data(), 1, out.size()}});
    }
    for (int round = 0; round < 3; ++round) {  // the later ones know what follows
      matmul(x_view, products);
      for (std::size_t i = 0; i < outs.size(); ++i) {
        expect_product(weights[i], x_view, MatView<const float>(outs[i].data(), 1, outs[i].size()),
                       weights[i].view.dtype != DType::kBF16);
        std::ranges::fill(outs[i], -7.0F);
      }
    }
  }
}

TEST(Matmul, AnInputMadeOnTheWayGivesWhatOneMadeBeforeDoes) {
  std::mt19937 random(8);
  constexpr std::size_t kRows = 40;
  constexpr std::size_t kCols = 6400;  // several threads' parts of a row, of different lengths
  for (const DType dtype : {DType::kQ4_K, DType::kF32}) {
    const TestWeight weight(dtype, kRows, kCols, random);
    for (const std::size_t tokens : {1U, 2U, 5U}) {
      for (const std::size_t threads : {1U, 2U, 3U}) {
        for (const bool is_observed : {false, true}) {
          SCOPED_TRACE(str(dtype_info(dtype).name, ", tokens ", tokens, ", threads ", threads));
          const std::vector<float> raw = random_floats(tokens * kCols, random);
          std::vector<float> made = raw;
          for (float& value : made) value = 2 * value + 1;
          ThreadPool pool(threads);
          Matmul matmul(select_kernels(), pool, ActivationType::kI8);
          std::vector<float> expected(tokens * kRows);
          matmul({made.data(), tokens, kCols}, weight.view, {expected.data(), tokens, kRows});

          if (is_observed) {
            matmul.set_observer([&](const WeightMatrix&, MatView<const float> x) {
              EXPECT_TRUE(std::ranges::equal(x.row(0), std::span(made).first(kCols)));
            });
          }
          std::vector<float> x = raw;
          std::vector<float> actual(tokens * kRows);
          matmul({x.data(), tokens, kCols}, weight.view, {actual.data(), tokens, kRows},
                 [&](std::size_t row, std::size_t first, std::size_t count) {
                   for (float& value : std::span(x).subspan(row * kCols + first, count)) value = 2 * value + 1;
                 });
          EXPECT_EQ(x, made);
          EXPECT_EQ(actual, expected);
        }
      }
    }
  }
}

TEST(Followers, ToldIsWhereWorkersBeganLastTime) {
  const std::byte memory[3] = {};
  const std::vector<const std::byte*> first = {&memory[0]};
  const std::vector<const std::byte*> second = {&memory[1]};
  Followers followers;
  EXPECT_TRUE(followers.follow(&memory[0], first).empty());
  EXPECT_TRUE(followers.follow(&memory[1], second).empty());
  EXPECT_EQ(followers.follow(&memory[0], first), second);
  const std::vector<const std::byte*> third = {&memory[2]};
  EXPECT_TRUE(followers.follow(&memory[2], third).empty());  // another follows this time
  EXPECT_EQ(followers.follow(&memory[0], first), third);
  EXPECT_EQ(followers.follow(&memory[0], first), first);  // itself
}

// By pairs, each term is off by up to 2^-16 of itself, besides what float sums are off by.
TEST(Matmul, ByPairsEqualsThePlainSumWhateverTheBatchAndThreads) {
  std::mt19937 random(7);
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    ThreadPool three(3);
    ThreadPool one(1);
    Matmul matmul(*kernels, three, ActivationType::kI8, FloatProduct::kByPairs);
    Matmul alone(*kernels, one, ActivationType::kI8, FloatProduct::kByPairs);
    if (!matmul.is_by_pairs()) continue;
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
      for (const std::size_t rows : {1U, 16U, 31U, 32U, 70U}) {
        for (const std::size_t cols : {7U, 48U, 1100U}) {
          SCOPED_TRACE(str(dtype_info(dtype).name, " [", rows, ", ", cols, "] on ", kernels->name));
          const TestWeight weight(dtype, rows, cols, random);
          const std::size_t tokens = 37;
          const std::vector<float> x = random_floats(tokens * (cols + 3), random);
          const MatView<const float> x_view(x.data(), tokens, cols, cols + 3);
          std::vector<float> out(tokens * (rows + 5), -7.0F);
          matmul(x_view, weight.view, {out.data(), tokens, rows, rows + 5});
          std::vector<float> row(rows);
          for (std::size_t t = 0; t < tokens; ++t) {
            for (std::size_t r = 0; r < rows; ++r) {
              double sum = 0;
              double magnitude = 0;
              for (std::size_t c = 0; c < cols; ++c) {
                const double term = double{weight.values[r * cols + c]} * double{x_view.row(t)[c]};
                sum += term;
                magnitude += std::abs(term);
              }
              ASSERT_NEAR(out[t * (rows + 5) + r], sum, magnitude * (0x1p-16 + static_cast<double>(cols) * 0x1p-23));
            }
            for (std::size_t i = rows; i < rows + 5; ++i) ASSERT_EQ(out[t * (rows + 5) + i], -7.0F) << "overrun";
            if (t % 12 != 0) continue;
            alone(x_view.row_range(t, 1), weight.view, {row.data(), 1, rows});
            ASSERT_TRUE(std::ranges::equal(row, std::span(out).subspan(t * (rows + 5), rows))) << "token " << t;
          }
        }
      }
    }
    // Quantised weights still meet codes.
    const TestWeight codes(DType::kQ8_0, 40, 96, random);
    const std::vector<float> x = random_floats(5 * 96, random);
    std::vector<float> by_pairs(5 * 40);
    std::vector<float> in_order(5 * 40);
    matmul({x.data(), 5, 96}, codes.view, {by_pairs.data(), 5, 40});
    Matmul(*kernels, one, ActivationType::kI8)({x.data(), 5, 96}, codes.view, {in_order.data(), 5, 40});
    EXPECT_EQ(by_pairs, in_order);
  }
}

}  // namespace
}  // namespace carat
