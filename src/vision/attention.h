// Attention of the vision tower: every patch sees every other.
#pragma once

#include "base/view.h"
#include "nn/compute.h"
#include "vision/axial_rope.h"
#include "vision/config.h"
#include "vision/scratch.h"
#include "vision/weights.h"

namespace carat {

// out = O softmax(Q K^T) V over all patches; scale 1. Queries and keys are normed and turned, values normed. x, out:
// [patches, hidden]. Reference: Gemma4VisionAttention.forward.
void vision_attention(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
                      const AxialRope& rope, MatView<const float> x, MatView<float> out, VisionScratch& scratch);

}  // namespace carat
