#include "kernels/full_attention.h"

#include <gtest/gtest.h>

#include "kernels/cpu.h"
#include "kernels/full_attention_formula.h"
#include "kernels/tables.h"

namespace carat {
namespace {

std::vector<float> attend(const KernelTable& kernels, ThreadPool& pool, FullAttentionCase& c) {
  std::vector<float> out(c.rows * c.width());
  FullAttention(kernels, pool)(c.mat(c.q), c.mat(c.k), c.mat(c.v), c.heads, c.mat(out));
  return out;
}

// Row counts around the tiles of queries (96) and the blocks of keys (256), head sizes with and without a rest.
std::vector<FullAttentionCase> cases(std::mt19937& random) {
  return {{1, 1, 16, random}, {37, 2, 64, random}, {256, 1, 32, random}, {300, 3, 72, random}, {600, 1, 64, random}};
}

// A score of 72 terms that add up to about 46 in size is off by 72 roundings of it at most, 2e-4, and so is a weight,
// relative to itself; values are near 1.
TEST(FullAttention, EqualsThePlainFormula) {
  std::mt19937 random(4);
  ThreadPool pool(2);
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    for (FullAttentionCase& c : cases(random)) {
      const std::vector<float> out = attend(*kernels, pool, c);
      for (std::size_t row = 0; row < c.rows; row += 13) {
        for (std::size_t head = 0; head < c.heads; ++head) {
          const std::vector<double> expected = c.formula(row, head);
          for (std::size_t d = 0; d < c.head_dim; ++d) {
            ASSERT_NEAR(out[row * c.width() + head * c.head_dim + d], expected[d], 2e-4)
                << kernels->name << ", " << c.rows << " rows: " << row << ", " << head << ", " << d;
          }
        }
      }
    }
  }
}

TEST(FullAttention, GivesTheSameBitsWithAnyThreadsAndOnAnyInstructionSet) {
  std::mt19937 random(5);
  ThreadPool one(1);
  ThreadPool three(3);
  for (FullAttentionCase& c : cases(random)) {
    const std::vector<float> expected = attend(reference_kernels, three, c);
    for (const KernelTable* kernels : all_kernels()) {
      if ((kernels->needs & ~cpu_features()) != 0) continue;
      EXPECT_EQ(attend(*kernels, one, c), expected) << kernels->name << ", " << c.rows << " rows";
      EXPECT_EQ(attend(*kernels, three, c), expected) << kernels->name << ", " << c.rows << " rows";
    }
  }
}

TEST(FullAttention, ARowDoesNotDependOnTheRowsBesideIt) {
  std::mt19937 random(6);
  ThreadPool pool(2);
  FullAttentionCase c(300, 2, 24, random);
  const std::vector<float> together = attend(select_kernels(), pool, c);
  FullAttention attention(select_kernels(), pool);
  for (const std::size_t row : {0U, 95U, 96U, 299U}) {
    std::vector<float> alone(c.width());
    attention(c.mat(c.q).row_range(row, 1), c.mat(c.k), c.mat(c.v), c.heads, {alone.data(), 1, c.width()});
    const auto first = together.begin() + static_cast<std::ptrdiff_t>(row * c.width());
    EXPECT_EQ(alone, std::vector<float>(first, first + static_cast<std::ptrdiff_t>(c.width()))) << row;
  }
}

TEST(FullAttention, MayReplaceTheQueries) {
  std::mt19937 random(7);
  ThreadPool pool(2);
  FullAttentionCase c(200, 2, 32, random);
  const std::vector<float> expected = attend(select_kernels(), pool, c);
  FullAttention(select_kernels(), pool)(c.mat(c.q), c.mat(c.k), c.mat(c.v), c.heads, c.mat(c.q));
  EXPECT_EQ(c.q, expected);
}

}  // namespace
}  // namespace carat
