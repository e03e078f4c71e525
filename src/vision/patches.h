// Patches: a picture cut into squares, each a row of numbers.
#pragma once

#include <cstddef>

#include "base/buffer.h"
#include "base/rgb_image.h"
#include "nn/compute.h"

namespace carat {

// How the values of a patch stand in its row.
enum class PatchOrder {
  kChannelLast,   // y, x, channel: Hugging Face folders
  kChannelFirst,  // channel, y, x: GGUF, whose converter makes the projection a convolution's kernel
};

struct PatchGrid {
  std::size_t columns = 0;
  std::size_t rows = 0;

  std::size_t count() const { return columns * rows; }
};

// What a level of a pixel becomes: value = level / 255 * scale + shift.
struct PixelScale {
  float scale = 1;
  float shift = 0;
};

PatchGrid patch_grid(ImageSize size, std::size_t patch_pixels);

// The picture's patches row by row: [patches, patch_pixels * patch_pixels * 3]. Its sides are multiples of
// patch_pixels.
AlignedBuffer<float> cut_patches(const Compute& compute, const RgbImage& image, std::size_t patch_pixels,
                                 PatchOrder order, PixelScale scale);

}  // namespace carat
