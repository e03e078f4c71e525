#include "media/resize_image.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace carat {
namespace {

// Weights are integers of 22 fractional bits: 8 bits of pixel and 2 for the filter's overshoot fill up 32.
constexpr int kFractionBits = 22;

// Keys' cubic convolution kernel with a = -1/2, zero beyond 2.
double bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA;
  return 0;
}

// What one output pixel is made of.
struct Tap {
  std::size_t first = 0;              // input pixel of the first weight
  std::vector<std::int32_t> weights;  // sum about 2^22
};

// The kernel is stretched by the factor of reduction, which is what keeps small pictures of large ones from flickering.
std::vector<Tap> make_taps(std::size_t in, std::size_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = 2 * stretch;
  std::vector<Tap> taps(out);
  for (std::size_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = static_cast<std::size_t>(std::max(0.0, center - support + 0.5));
    const auto end = static_cast<std::size_t>(std::min(static_cast<double>(in), center + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (std::size_t x = first; x < end; ++x) {
      weights.push_back(bicubic((static_cast<double>(x) - center + 0.5) / stretch));
      sum += weights.back();
    }
    taps[i].first = first;
    for (const double weight : weights) {
      taps[i].weights.push_back(static_cast<std::int32_t>(std::lround(weight / sum * (1 << kFractionBits))));
    }
  }
  return taps;
}

std::uint8_t to_level(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp((sum + (1 << (kFractionBits - 1))) >> kFractionBits, 0, 255));
}

RgbImage resize_width(const RgbImage& image, std::size_t width) {
  const std::vector<Tap> taps = make_taps(image.size.width, width);
  RgbImage out{{width, image.size.height}, std::vector<std::uint8_t>(width * image.size.height * 3)};
  for (std::size_t y = 0; y < image.size.height; ++y) {
    std::uint8_t* to = out.row(y);
    for (const Tap& tap : taps) {
      const std::uint8_t* from = image.row(y) + tap.first * 3;
      std::int32_t sum[3] = {};
      for (const std::int32_t weight : tap.weights) {
        for (std::size_t c = 0; c < 3; ++c) sum[c] += weight * from[c];
        from += 3;
      }
      for (const std::int32_t s : sum) *to++ = to_level(s);
    }
  }
  return out;
}

RgbImage resize_height(const RgbImage& image, std::size_t height) {
  const std::vector<Tap> taps = make_taps(image.size.height, height);
  const std::size_t row_values = image.size.width * 3;
  RgbImage out{{image.size.width, height}, std::vector<std::uint8_t>(row_values * height)};
  std::vector<std::int32_t> sums(row_values);
  for (std::size_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 0);
    for (std::size_t i = 0; i < taps[y].weights.size(); ++i) {
      const std::int32_t weight = taps[y].weights[i];
      const std::uint8_t* from = image.row(taps[y].first + i);
      for (std::size_t x = 0; x < row_values; ++x) sums[x] += weight * from[x];
    }
    std::transform(sums.begin(), sums.end(), out.row(y), to_level);
  }
  return out;
}

}  // namespace

RgbImage resize_bicubic(const RgbImage& image, ImageSize size) {
  RgbImage out = size.width == image.size.width ? image : resize_width(image, size.width);
  return size.height == image.size.height ? out : resize_height(out, size.height);
}

}  // namespace carat
