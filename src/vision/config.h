// VisionConfig: what a vision tower is, as plain numbers.
#pragma once

#include <cstddef>

#include "vision/patches.h"

namespace carat {

struct VisionConfig {
  std::size_t hidden = 0;
  std::size_t heads = 0;
  std::size_t head_dim = 0;
  std::size_t intermediate = 0;
  std::size_t positions = 0;  // a side of the table: most patches along a side of a picture
  std::size_t patch_pixels = 16;
  std::size_t pool = 3;  // a soft token is the mean of pool x pool patches
  float eps = 1e-6F;
  float rope_theta = 100;
  PatchOrder patch_order = PatchOrder::kChannelLast;
};

}  // namespace carat
