// Any bytes as a picture: pixels within the limits, or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "media/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace carat;
  ImageLimits limits;
  limits.max_pixels = 1'000'000;  // zeroing what a header claims takes time
  try {
    const RgbImage image = decode_image(std::as_bytes(std::span(data, size)), "image", limits);
    if (image.pixels.size() != image.size.width * image.size.height * 3) __builtin_trap();
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
