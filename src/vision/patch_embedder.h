// PatchEmbedder: the eyes of the unified 12B, which has no tower: each square of 48 pixels goes straight into the text
// model.
#pragma once

#include <vector>

#include "kernels/weight_matrix.h"
#include "vision/image_encoder.h"
#include "vision/patches.h"

namespace carat {

struct PatchEmbedderConfig {
  std::size_t width = 0;
  std::size_t positions = 0;      // most squares along a side of a picture
  std::size_t patch_pixels = 48;  // one soft token each
  float eps = 1e-6F;              // of the norm before the projection
  PatchOrder patch_order = PatchOrder::kChannelLast;
};

struct LayerNormWeights {
  std::vector<float> weight;  // [n]
  std::vector<float> bias;    // [n]
};

struct PatchEmbedderWeights {
  LayerNormWeights patch_norm;     // [3 * patch_pixels^2]
  WeightMatrix dense;              // [width, 3 * patch_pixels^2]
  std::vector<float> bias;         // [width]
  LayerNormWeights dense_norm;     // [width]
  std::vector<float> column;       // [positions, width]
  std::vector<float> row;          // [positions, width]
  LayerNormWeights position_norm;  // [width]
  WeightMatrix projection;         // [text_hidden, width]
};

class PatchEmbedder final : public ImageEncoder {
 public:
  PatchEmbedder(const PatchEmbedderConfig& config, PatchEmbedderWeights weights)
      : config_(config), weights_(std::move(weights)) {}

  std::size_t token_pixels() const override { return config_.patch_pixels; }
  // Traces "vision.patches" and "vision.soft_tokens".
  // Reference: Gemma4UnifiedVisionEmbedder.forward and Gemma4UnifiedMultimodalEmbedder.forward.
  SoftTokens encode(const Compute& compute, const RgbImage& image, MediaKind kind, Trace* trace) const override;

 private:
  PatchEmbedderConfig config_;
  PatchEmbedderWeights weights_;
};

}  // namespace carat
