// One layer of the vision tower.
#pragma once

#include "base/view.h"
#include "nn/compute.h"
#include "vision/axial_rope.h"
#include "vision/config.h"
#include "vision/scratch.h"
#include "vision/weights.h"

namespace carat {

// h: [patches, hidden], read and written. Reference: Gemma4VisionEncoderLayer.forward.
void vision_layer(const Compute& compute, const VisionConfig& config, const VisionLayerWeights& weights,
                  const AxialRope& rope, MatView<float> h, VisionScratch& scratch);

}  // namespace carat
