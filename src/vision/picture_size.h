// How large a picture is made before a model sees it.
#pragma once

#include <array>
#include <cstddef>

#include "base/rgb_image.h"

namespace carat {

// Most soft tokens a picture may take, as the models were trained.
inline constexpr std::array<std::size_t, 5> kImageBudgets{70, 140, 280, 560, 1120};
inline constexpr std::size_t kDefaultImageBudget = 280;

// The smallest budget at which a picture keeps its resolution; the largest for one that never does. token_pixels: side
// of a soft token's square.
std::size_t budget_for(ImageSize size, std::size_t token_pixels);

// The size with the picture's proportions that fills the budget, both sides whole soft tokens; small pictures are
// enlarged. Reference: image_processing_gemma4.py, get_aspect_ratio_preserving_size.
ImageSize size_for_budget(ImageSize size, std::size_t budget, std::size_t token_pixels);

}  // namespace carat
