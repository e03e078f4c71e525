// Pictures from outside: bytes of a JPEG, PNG, WebP, GIF or BMP -> RGB, behind limits that are held before any pixel is
// decoded.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/rgb_image.h"

namespace carat {

struct ImageLimits {
  std::size_t max_file_bytes = std::size_t{64} << 20;
  std::size_t max_pixels = 50'000'000;
  std::size_t max_side = 16'384;
  // Of buffers while decoding, the library's own included.
  std::size_t max_decode_bytes = std::size_t{512} << 20;
  std::size_t max_frames = 10'000;  // of an animation, though only the first is decoded
};

// The picture as a person sees it: upright (EXIF orientation), in colour, 8 bits, transparency over white; the first
// frame of an animation. `where` begins messages: a file's name or "the image".
// Throws Error(kBadInput): no picture, damaged, or beyond the limits; Error(kOutOfMemory).
RgbImage decode_image(std::span<const std::byte> bytes, const std::string& where, const ImageLimits& limits = {});

// Throws Error(kBadInput) also where the file can't be read.
std::vector<std::byte> read_image_file(const std::filesystem::path& path, const ImageLimits& limits = {});

// As a PNG file's bytes.
std::vector<std::byte> encode_png(const RgbImage& image);

}  // namespace carat
