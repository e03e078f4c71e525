#include "vision/axial_rope.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "nn/rope.h"

namespace carat {

AxialRope::AxialRope(std::size_t head_dim, float theta, PatchGrid grid)
    : pairs_(head_dim / 4),
      columns_(grid.columns),
      cos_(std::max(grid.columns, grid.rows) * pairs_, "rotary positions"),
      sin_(std::max(grid.columns, grid.rows) * pairs_, "rotary positions") {
  const std::size_t axis_dim = head_dim / 2;  // one half for columns, the other for rows
  std::vector<float> frequencies(pairs_);
  for (std::size_t i = 0; i < pairs_; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(axis_dim);
    frequencies[i] = static_cast<float>(std::pow(static_cast<double>(theta), exponent));
  }
  for (std::size_t c = 0; c < std::max(grid.columns, grid.rows); ++c) {
    fill_rope_row(c, frequencies, cos_.span().subspan(c * pairs_, pairs_), sin_.span().subspan(c * pairs_, pairs_));
  }
}

void AxialRope::apply(const KernelTable& kernels, std::size_t patch, std::span<float> head) const {
  const std::size_t x = patch % columns_ * pairs_;
  const std::size_t y = patch / columns_ * pairs_;
  kernels.rope(cos_.data() + x, sin_.data() + x, pairs_, pairs_, head.data());
  kernels.rope(cos_.data() + y, sin_.data() + y, pairs_, pairs_, head.data() + 2 * pairs_);
}

}  // namespace carat
