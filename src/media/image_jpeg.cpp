// JPEG by libjpeg-turbo, with the accurate DCT and smooth upsampling that Pillow, and so the reference, decodes with.
#include <turbojpeg.h>

#include <memory>

#include "media/image_decoder.h"

namespace carat::media {
namespace {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};

// Cyan, magenta, yellow and black as Adobe's files hold them, inverted: 255 is no ink.
void cmyk_to_rgb(std::vector<std::uint8_t>& pixels) {
  std::uint8_t* out = pixels.data();
  for (std::size_t i = 0; i < pixels.size(); i += 4) {
    const std::uint32_t black = pixels[i + 3];
    const std::uint8_t rgb[3] = {static_cast<std::uint8_t>((pixels[i] * black + 127) / 255),
                                 static_cast<std::uint8_t>((pixels[i + 1] * black + 127) / 255),
                                 static_cast<std::uint8_t>((pixels[i + 2] * black + 127) / 255)};
    for (const std::uint8_t value : rgb) *out++ = value;
  }
  pixels.resize(pixels.size() / 4 * 3);
}

}  // namespace

DecodedImage decode_jpeg(const ImageSource& source) {
  const std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  if (handle == nullptr) throw Error(ErrorKind::kOutOfMemory, str(source.where, ": no memory for the JPEG decoder."));
  const auto bad = [&] { return source.bad(str("damaged JPEG (", tjGetErrorStr2(handle.get()), ").")); };

  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colors = 0;
  const auto size = static_cast<unsigned long>(source.size());
  if (tjDecompressHeader3(handle.get(), source.data(), size, &width, &height, &subsampling, &colors) != 0) throw bad();
  const bool is_cmyk = colors == TJCS_CMYK || colors == TJCS_YCCK;
  const std::size_t channels = is_cmyk ? 4 : 3;
  // The result, and two bytes for each coefficient of a progressive file.
  source.check_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), 3 * channels);

  DecodedImage image;
  image.size = {static_cast<std::size_t>(width), static_cast<std::size_t>(height)};
  image.channels = 3;
  image.orientation = jpeg_orientation({source.data(), source.size()});
  image.pixels = make_pixels(source, image.size, channels);
  const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;  // a progressive file's scans are a way to waste time
  if (tjDecompress2(handle.get(), source.data(), size, image.pixels.data(), width, 0, height,
                    is_cmyk ? TJPF_CMYK : TJPF_RGB, flags) != 0) {
    // Warnings leave a whole picture, but for a file that ends early.
    const std::string_view message = tjGetErrorStr2(handle.get());
    const bool is_cut = message.find("remature end") != std::string_view::npos;
    if (tjGetErrorCode(handle.get()) != TJERR_WARNING || is_cut) throw bad();
  }
  if (is_cmyk) cmyk_to_rgb(image.pixels);
  return image;
}

}  // namespace carat::media
