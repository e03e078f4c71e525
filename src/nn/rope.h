// Rotary position embedding: cosines and sines for the positions of a batch.
#pragma once

#include <cstddef>
#include <span>

#include "base/view.h"

namespace carat {

// cos and sin of position * frequencies[i]; each [rows, frequencies.size()]. The angle is a float32 product of the
// position and a float32 frequency, as the reference computes it (Gemma4TextRotaryEmbedding.forward), so that far
// positions agree too.
void fill_rope_row(std::size_t position, std::span<const float> frequencies, std::span<float> cos,
                   std::span<float> sin);

}  // namespace carat
