#include "kernels/pair_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/cpu.h"

namespace carat {
namespace {

struct Shape {
  std::size_t rows = 0;
  std::size_t heads = 0;
  std::size_t head_dim = 0;
};

std::vector<float> random_rows(const Shape& shape, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(shape.rows * shape.heads * shape.head_dim);
  for (float& value : values) value = normal(random);
  return values;
}

// What attention gives one row and head, in double.
std::vector<double> plain_attention(const Shape& shape, std::size_t row, std::size_t head, const std::vector<float>& q,
                                    const std::vector<float>& k, const std::vector<float>& v) {
  const std::size_t width = shape.heads * shape.head_dim;
  const auto at = [&](const std::vector<float>& x, std::size_t r, std::size_t d) {
    return double{x[r * width + head * shape.head_dim + d]};
  };
  std::vector<double> share(shape.rows);
  double total = 0;
  for (std::size_t p = 0; p < shape.rows; ++p) {
    double score = 0;
    for (std::size_t d = 0; d < shape.head_dim; ++d) score += at(q, row, d) * at(k, p, d);
    share[p] = std::exp(score);
    total += share[p];
  }
  std::vector<double> out(shape.head_dim);
  for (std::size_t p = 0; p < shape.rows; ++p) {
    for (std::size_t d = 0; d < shape.head_dim; ++d) out[d] += share[p] / total * at(v, p, d);
  }
  return out;
}

// Scores are off by 2^-16 of the sum of their terms' sizes, some 10 to 60 here, and shares by as much of themselves.
TEST(PairAttention, EqualsThePlainFormulaWhateverTheThreads) {
  std::mt19937 random(3);
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0 || kernels->panel_gemm_pairs == nullptr) continue;
    for (const Shape& shape : {Shape{1, 1, 16}, Shape{37, 2, 64}, Shape{128, 1, 32}, Shape{300, 3, 72}}) {
      SCOPED_TRACE(std::string(kernels->name) + ", rows " + std::to_string(shape.rows));
      const std::vector<float> q = random_rows(shape, random);
      const std::vector<float> k = random_rows(shape, random);
      const std::vector<float> v = random_rows(shape, random);
      const std::size_t width = shape.heads * shape.head_dim;
      const auto view = [&](const std::vector<float>& x) { return MatView<const float>(x.data(), shape.rows, width); };
      ThreadPool one(1);
      ThreadPool three(3);
      std::vector<float> out = q;  // in place
      const MatView<float> in_place(out.data(), shape.rows, width);
      PairAttention(*kernels, three)(in_place, view(k), view(v), shape.heads, in_place);
      std::vector<float> again(out.size());
      PairAttention(*kernels, one)(view(q), view(k), view(v), shape.heads, {again.data(), shape.rows, width});
      EXPECT_EQ(again, out);
      for (std::size_t row = 0; row < shape.rows; row += 7) {
        for (std::size_t head = 0; head < shape.heads; ++head) {
          const std::vector<double> expected = plain_attention(shape, row, head, q, k, v);
          for (std::size_t d = 0; d < shape.head_dim; ++d) {
            ASSERT_NEAR(out[row * width + head * shape.head_dim + d], expected[d], 2e-3) << row << ", " << head;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace carat
