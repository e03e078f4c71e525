// ImageEncoder: a picture that has its final size -> soft tokens. What a model has for eyes, whichever kind they are.
#pragma once

#include <cstddef>

#include "base/rgb_image.h"
#include "nn/compute.h"
#include "nn/soft_tokens.h"
#include "nn/trace.h"

namespace carat {

// Immutable; its weights are views into the model's files.
class ImageEncoder {
 public:
  virtual ~ImageEncoder() = default;

  // A soft token covers a square of that many pixels a side; a picture's sides are multiples of it.
  virtual std::size_t token_pixels() const = 0;

  // One soft token for each square, row by row. image: sides are multiples of token_pixels(), as picture_size.h makes
  // them. kind: kImage or kVideo. trace may be null. Throws Error(kOutOfMemory), and Error(kBadInput) for a picture
  // with more patches than the model's table of positions has.
  virtual SoftTokens encode(const Compute& compute, const RgbImage& image, MediaKind kind, Trace* trace) const = 0;
};

}  // namespace carat
