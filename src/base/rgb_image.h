// RgbImage: the pixels of a picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace carat {

struct ImageSize {
  std::size_t width = 0;
  std::size_t height = 0;

  bool operator==(const ImageSize&) const = default;
};

struct RgbImage {
  ImageSize size;
  std::vector<std::uint8_t> pixels;  // [height, width, 3], 0 to 255

  const std::uint8_t* row(std::size_t y) const { return pixels.data() + y * size.width * 3; }
  std::uint8_t* row(std::size_t y) { return pixels.data() + y * size.width * 3; }
};

}  // namespace carat
