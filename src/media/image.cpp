#include "media/image.h"

#include <array>
#include <new>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "media/image_decoder.h"

namespace carat {
namespace media {

void ImageSource::check_size(std::uint64_t width, std::uint64_t height, std::size_t bytes_per_pixel) const {
  if (width == 0 || height == 0) throw bad("the image has no pixels.");
  if (width > limits.max_side || height > limits.max_side || width * height > limits.max_pixels) {
    throw bad(str("the image has ", width, " x ", height, " pixels, at most ", limits.max_side, " a side and ",
                  limits.max_pixels / 1'000'000, " million in all are read. Make it smaller first."));
  }
  if (width * height * bytes_per_pixel > limits.max_decode_bytes) {
    throw bad(str("decoding ", width, " x ", height, " pixels of this kind takes more than ",
                  limits.max_decode_bytes >> 20, " MiB. Make the image smaller first."));
  }
}

std::vector<std::uint8_t> make_pixels(const ImageSource& source, ImageSize size, std::size_t channels) {
  try {
    return std::vector<std::uint8_t>(size.width * size.height * channels);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::kOutOfMemory,
                str(source.where, ": no memory for ", size.width, " x ", size.height, " pixels."));
  }
}

}  // namespace media

namespace {

using media::DecodedImage;
using media::ImageSource;

struct Format {
  std::string_view magic;  // '?' stands for any byte
  DecodedImage (*decode)(const ImageSource&);
};

constexpr std::array<Format, 6> kFormats{{
    {"\xff\xd8\xff", media::decode_jpeg},
    {"\x89PNG\r\n\x1a\n", media::decode_png},
    {"RIFF????WEBP", media::decode_webp},
    {"GIF87a", media::decode_gif},
    {"GIF89a", media::decode_gif},
    {"BM", media::decode_bmp},
}};

bool has_magic(std::span<const std::byte> bytes, std::string_view magic) {
  if (bytes.size() < magic.size()) return false;
  for (std::size_t i = 0; i < magic.size(); ++i) {
    if (magic[i] != '?' && static_cast<char>(bytes[i]) != magic[i]) return false;
  }
  return true;
}

// Drops alpha: c over white, in Pillow's integer arithmetic (AlphaComposite.c), which the reference uses.
void composite_on_white(DecodedImage& image) {
  const std::size_t count = image.size.width * image.size.height;
  const std::uint8_t* in = image.pixels.data();
  std::uint8_t* out = image.pixels.data();  // never ahead of what is read
  for (std::size_t i = 0; i < count; ++i, in += 4, out += 3) {
    const std::uint32_t alpha = in[3];
    for (std::size_t c = 0; c < 3; ++c) {
      const std::uint32_t sum = 128 * (in[c] * alpha + 255 * (255 - alpha) + 128);
      out[c] = static_cast<std::uint8_t>(((sum >> 8) + sum) >> 15);
    }
  }
  image.pixels.resize(count * 3);
  image.channels = 3;
}

// Turns and flips as EXIF orientation asks: 1 as stored, 2 mirrored, 3 half a turn, 4 flipped, 5 to 8 the same with
// rows and columns exchanged first.
RgbImage upright(DecodedImage&& image) {
  const auto [width, height] = image.size;
  if (image.orientation <= 1) return {image.size, std::move(image.pixels)};
  const bool is_transposed = image.orientation >= 5;
  const bool is_mirrored =
      image.orientation == 2 || image.orientation == 3 || image.orientation == 6 || image.orientation == 7;
  const bool is_flipped =
      image.orientation == 3 || image.orientation == 4 || image.orientation == 7 || image.orientation == 8;
  RgbImage out;
  out.size = is_transposed ? ImageSize{height, width} : image.size;
  out.pixels.resize(image.pixels.size());
  for (std::size_t y = 0; y < out.size.height; ++y) {
    const std::size_t from_y = is_flipped ? out.size.height - 1 - y : y;
    std::uint8_t* row = out.row(y);
    for (std::size_t x = 0; x < out.size.width; ++x) {
      const std::size_t from_x = is_mirrored ? out.size.width - 1 - x : x;
      const std::size_t at = is_transposed ? from_x * width + from_y : from_y * width + from_x;
      for (std::size_t c = 0; c < 3; ++c) row[3 * x + c] = image.pixels[3 * at + c];
    }
  }
  return out;
}

}  // namespace

RgbImage decode_image(std::span<const std::byte> bytes, const std::string& where, const ImageLimits& limits) {
  const ImageSource source{bytes, where, limits};
  if (bytes.empty()) throw source.bad("the image is empty.");
  if (bytes.size() > limits.max_file_bytes) {
    throw source.bad(str("the image file has ", bytes.size(), " bytes, at most ", limits.max_file_bytes, " are read."));
  }
  for (const Format& format : kFormats) {
    if (!has_magic(bytes, format.magic)) continue;
    DecodedImage image = format.decode(source);
    if (image.channels == 4) composite_on_white(image);
    return upright(std::move(image));
  }
  throw source.bad("is no image that carat reads: JPEG, PNG, WebP, GIF or BMP.");
}

std::vector<std::byte> read_image_file(const std::filesystem::path& path, const ImageLimits& limits) {
  try {
    const std::string text = read_text_file(path, limits.max_file_bytes);
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadInput, error.what());
  }
}

}  // namespace carat
