// PNG by libspng: grey, colour, palette, with and without transparency, 1 to 16 bits, interlaced or not.
#include <spng.h>

#include <memory>

#include "media/image_decoder.h"

namespace carat {
namespace media {
namespace {

struct Free {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, Free>;

constexpr std::size_t kMaxChunkBytes = std::size_t{8} << 20;  // of metadata: profiles, texts
constexpr std::size_t kMaxCacheBytes = std::size_t{16} << 20;

}  // namespace

DecodedImage decode_png(const ImageSource& source) {
  const Context context(spng_ctx_new(SPNG_CTX_IGNORE_ADLER32));
  if (context == nullptr) throw Error(ErrorKind::kOutOfMemory, str(source.where, ": no memory for the PNG decoder."));
  const auto check = [&](int code) {
    if (code == 0) return;
    if (code == SPNG_EMEM) throw Error(ErrorKind::kOutOfMemory, str(source.where, ": no memory for the image."));
    throw source.bad(str("damaged PNG (", spng_strerror(code), ")."));
  };
  check(spng_set_chunk_limits(context.get(), kMaxChunkBytes, kMaxCacheBytes));
  check(spng_set_png_buffer(context.get(), source.data(), source.size()));
  spng_ihdr header{};
  check(spng_get_ihdr(context.get(), &header));
  source.check_size(header.width, header.height, 4 + 1);  // the result; rows that are being unfiltered are few

  DecodedImage image;
  image.size = {header.width, header.height};
  image.channels = 4;
  std::size_t bytes = 0;
  check(spng_decoded_image_size(context.get(), SPNG_FMT_RGBA8, &bytes));
  image.pixels = make_pixels(source, image.size, image.channels);
  if (bytes != image.pixels.size()) throw source.bad("damaged PNG (its size makes no sense).");
  check(spng_decode_image(context.get(), image.pixels.data(), bytes, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS));
  spng_exif exif{};
  if (spng_get_exif(context.get(), &exif) == 0) {
    image.orientation = exif_orientation({reinterpret_cast<const std::uint8_t*>(exif.data), exif.length});
  }
  return image;
}

}  // namespace media

std::vector<std::byte> encode_png(const RgbImage& image) {
  const media::Context context(spng_ctx_new(SPNG_CTX_ENCODER));
  const auto check = [](bool is_ok) {
    if (!is_ok) throw Error(ErrorKind::kOutOfMemory, "no memory to write a PNG.");
  };
  check(context != nullptr);
  spng_ihdr header{};
  header.width = static_cast<std::uint32_t>(image.size.width);
  header.height = static_cast<std::uint32_t>(image.size.height);
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  check(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1) == 0);
  check(spng_set_ihdr(context.get(), &header) == 0);
  check(spng_encode_image(context.get(), image.pixels.data(), image.pixels.size(), SPNG_FMT_PNG,
                          SPNG_ENCODE_FINALIZE) == 0);
  std::size_t size = 0;
  int code = 0;
  const std::unique_ptr<void, decltype(&std::free)> buffer(spng_get_png_buffer(context.get(), &size, &code), std::free);
  check(buffer != nullptr && code == 0);
  const auto* bytes = static_cast<const std::byte*>(buffer.get());
  return {bytes, bytes + size};
}

}  // namespace carat
