// What both kinds of ears end with: the projection into the text model.
#pragma once

#include <cstddef>

#include "base/view.h"
#include "kernels/weight_matrix.h"
#include "nn/compute.h"
#include "nn/soft_tokens.h"

namespace carat {

// projection (x / rms(x)). x: [rows, width], normed in place. Reference: Gemma4MultimodalEmbedder.forward.
SoftTokens project_sound(const Compute& compute, MatView<float> x, float eps, const WeightMatrix& projection);

// Throws Error(kBadInput) where a sound of that many samples at 16 kHz makes no soft token.
void require_sound(std::size_t soft_tokens, std::size_t samples);

}  // namespace carat
