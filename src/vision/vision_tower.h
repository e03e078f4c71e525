// VisionTower: the eyes of E2B, E4B, 26B-A4B and 31B: a transformer over patches, pooled and projected.
#pragma once

#include "vision/config.h"
#include "vision/image_encoder.h"
#include "vision/weights.h"

namespace carat {

class VisionTower final : public ImageEncoder {
 public:
  VisionTower(const VisionConfig& config, VisionWeights weights) : config_(config), weights_(std::move(weights)) {}

  std::size_t token_pixels() const override { return config_.patch_pixels * config_.pool; }
  // Traces "vision.embedding", "vision.layer.0" and so on, "vision.pooled", "vision.output" and "vision.soft_tokens".
  // Reference: Gemma4VisionModel.forward and Gemma4MultimodalEmbedder.forward.
  SoftTokens encode(const Compute& compute, const RgbImage& image, MediaKind kind, Trace* trace) const override;

  const VisionConfig& config() const { return config_; }

 private:
  // h = projection of the patches + position of the column + position of the row. h: [patches, hidden].
  void embed(const Compute& compute, const RgbImage& image, PatchGrid grid, MatView<float> h) const;
  // out = mean over pool x pool patches, times sqrt(hidden). h: [patches, hidden], out: [tokens, hidden].
  void pool(const Compute& compute, PatchGrid grid, MatView<const float> h, MatView<float> out) const;

  VisionConfig config_;
  VisionWeights weights_;
};

}  // namespace carat
