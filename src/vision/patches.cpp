#include "vision/patches.h"

#include <array>

namespace carat {

PatchGrid patch_grid(ImageSize size, std::size_t patch_pixels) {
  return {size.width / patch_pixels, size.height / patch_pixels};
}

AlignedBuffer<float> cut_patches(const Compute& compute, const RgbImage& image, std::size_t patch_pixels,
                                 PatchOrder order, PixelScale scale) {
  std::array<float, 256> values{};
  for (std::size_t level = 0; level < values.size(); ++level) {
    // The reference scales to 0 .. 1 first, and then shifts; each step is rounded.
    values[level] = static_cast<float>(level) / 255.0F * scale.scale + scale.shift;
  }
  const PatchGrid grid = patch_grid(image.size, patch_pixels);
  const std::size_t area = patch_pixels * patch_pixels;
  AlignedBuffer<float> patches(grid.count() * area * 3, "image patches");
  const std::size_t value_step = order == PatchOrder::kChannelLast ? 3 : 1;
  const std::size_t channel_step = order == PatchOrder::kChannelLast ? 1 : area;
  for_rows(compute, grid.count(), [&](std::size_t patch) {
    float* out = patches.data() + patch * area * 3;
    for (std::size_t y = 0; y < patch_pixels; ++y) {
      const std::uint8_t* in =
          image.row(patch / grid.columns * patch_pixels + y) + patch % grid.columns * patch_pixels * 3;
      for (std::size_t x = 0; x < patch_pixels; ++x) {
        float* pixel = out + (y * patch_pixels + x) * value_step;
        for (std::size_t c = 0; c < 3; ++c) pixel[c * channel_step] = values[*in++];
      }
    }
  });
  return patches;
}

}  // namespace carat
