#include "kernels/pair_attention.h"

#include <gtest/gtest.h>

#include "kernels/cpu.h"
#include "kernels/full_attention_formula.h"

namespace carat {
namespace {

// Scores are off by 2^-16 of the sum of their terms' sizes, some 10 to 60 here, and shares by as much of themselves.
TEST(PairAttention, EqualsThePlainFormulaWhateverTheThreads) {
  std::mt19937 random(3);
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0 || kernels->panel_gemm_pairs == nullptr) continue;
    for (FullAttentionCase c : {FullAttentionCase(1, 1, 16, random), FullAttentionCase(37, 2, 64, random),
                                FullAttentionCase(128, 1, 32, random), FullAttentionCase(300, 3, 72, random)}) {
      SCOPED_TRACE(std::string(kernels->name) + ", rows " + std::to_string(c.rows));
      ThreadPool one(1);
      ThreadPool three(3);
      std::vector<float> again(c.q.size());
      PairAttention(*kernels, one)(c.mat(c.q), c.mat(c.k), c.mat(c.v), c.heads, c.mat(again));
      std::vector<float> out = c.q;  // in place
      PairAttention(*kernels, three)(c.mat(out), c.mat(c.k), c.mat(c.v), c.heads, c.mat(out));
      EXPECT_EQ(again, out);
      for (std::size_t row = 0; row < c.rows; row += 7) {
        for (std::size_t head = 0; head < c.heads; ++head) {
          const std::vector<double> expected = c.formula(row, head);
          for (std::size_t d = 0; d < c.head_dim; ++d) {
            ASSERT_NEAR(out[row * c.width() + head * c.head_dim + d], expected[d], 2e-3) << row << ", " << head;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace carat
