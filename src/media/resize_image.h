// Resizing as the reference does it.
#pragma once

#include "base/rgb_image.h"

namespace carat {

// Bicubic (a = -1/2) with antialias, a horizontal and then a vertical pass, each rounded and clamped to 8 bits: what
// torchvision does with 8-bit pictures, and Pillow. size: both sides at least 1. Equal sizes: the picture itself.
RgbImage resize_bicubic(const RgbImage& image, ImageSize size);

}  // namespace carat
