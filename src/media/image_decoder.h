// What the decoders of single formats share. Each takes a whole file and gives RGBA, still unturned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "media/image.h"

namespace carat::media {

// A file that claims to be of some format, and what to hold it against.
struct ImageSource {
  std::span<const std::byte> bytes;
  const std::string& where;
  const ImageLimits& limits;

  const std::uint8_t* data() const { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
  std::size_t size() const { return bytes.size(); }

  Error bad(const std::string& what) const { return {ErrorKind::kBadInput, str(where, ": ", what)}; }
  // Throws unless both sides are at least 1 and the limits hold. bytes_per_pixel: of all buffers while decoding.
  void check_size(std::uint64_t width, std::uint64_t height, std::size_t bytes_per_pixel) const;
};

struct DecodedImage {
  ImageSize size;
  std::size_t channels = 0;          // 3: RGB, 4: RGBA, not premultiplied
  std::vector<std::uint8_t> pixels;  // [height, width, channels]
  int orientation = 1;               // EXIF, 1 to 8
};

// Zeroed memory for the pixels. Throws Error(kOutOfMemory).
std::vector<std::uint8_t> make_pixels(const ImageSource& source, ImageSize size, std::size_t channels);

DecodedImage decode_jpeg(const ImageSource& source);
DecodedImage decode_png(const ImageSource& source);
DecodedImage decode_webp(const ImageSource& source);
DecodedImage decode_gif(const ImageSource& source);
DecodedImage decode_bmp(const ImageSource& source);

// The orientation that an EXIF block (a TIFF file, with or without "Exif\0\0" before it) states: 1 to 8, 1 where it
// states none. Never throws: a damaged block states none.
int exif_orientation(std::span<const std::uint8_t> exif);
// The same of a JPEG file, from its first APP1 segment.
int jpeg_orientation(std::span<const std::uint8_t> file);

}  // namespace carat::media
