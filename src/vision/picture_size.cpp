#include "vision/picture_size.h"

#include <algorithm>
#include <cmath>

namespace carat {

std::size_t budget_for(ImageSize size, std::size_t token_pixels) {
  for (const std::size_t budget : kImageBudgets) {
    if (budget * token_pixels * token_pixels >= size.width * size.height) return budget;
  }
  return kImageBudgets.back();
}

ImageSize size_for_budget(ImageSize size, std::size_t budget, std::size_t token_pixels) {
  const auto width = static_cast<double>(size.width);
  const auto height = static_cast<double>(size.height);
  const auto side = static_cast<double>(token_pixels);
  const double factor = std::sqrt(static_cast<double>(budget * token_pixels * token_pixels) / (width * height));
  const auto tokens_of = [&](double pixels) { return static_cast<std::size_t>(std::floor(factor * pixels / side)); };
  std::size_t across = tokens_of(width);
  std::size_t down = tokens_of(height);
  // A sliver: one soft token thick, and as long as its proportions and the budget allow.
  if (across == 0) {
    across = 1;
    down = std::min(size.height / size.width, budget);
  } else if (down == 0) {
    down = 1;
    across = std::min(size.width / size.height, budget);
  }
  return {across * token_pixels, down * token_pixels};
}

}  // namespace carat
