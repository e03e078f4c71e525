// For the tests of attention in which every row sees every row: random rows, and what the formula gives for them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "base/view.h"

namespace carat {

struct FullAttentionCase {
  std::size_t rows = 0;
  std::size_t heads = 0;
  std::size_t head_dim = 0;
  std::vector<float> q, k, v;  // [rows, heads * head_dim]

  FullAttentionCase(std::size_t row_count, std::size_t head_count, std::size_t dim, std::mt19937& random)
      : rows(row_count), heads(head_count), head_dim(dim) {
    std::normal_distribution<float> normal;
    for (std::vector<float>* x : {&q, &k, &v}) {
      x->resize(rows * width());
      for (float& value : *x) value = normal(random);
    }
  }

  std::size_t width() const { return heads * head_dim; }
  MatView<float> mat(std::vector<float>& x) const { return {x.data(), rows, width()}; }

  // softmax(q K^T) V of one row and head, in double.
  std::vector<double> formula(std::size_t row, std::size_t head) const {
    const auto at = [&](const std::vector<float>& x, std::size_t r, std::size_t d) {
      return double{x[r * width() + head * head_dim + d]};
    };
    std::vector<double> share(rows);
    for (std::size_t p = 0; p < rows; ++p) {
      for (std::size_t d = 0; d < head_dim; ++d) share[p] += at(q, row, d) * at(k, p, d);
    }
    const double max = *std::max_element(share.begin(), share.end());
    double total = 0;
    for (double& s : share) total += s = std::exp(s - max);
    std::vector<double> out(head_dim);
    for (std::size_t p = 0; p < rows; ++p) {
      for (std::size_t d = 0; d < head_dim; ++d) out[d] += share[p] / total * at(v, p, d);
    }
    return out;
  }
};

}  // namespace carat
