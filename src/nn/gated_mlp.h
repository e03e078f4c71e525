// The gated MLP: down(gelu(gate x) * up x).
#pragma once

#include "base/view.h"
#include "nn/compute.h"

namespace carat {

struct GatedMlpWeights {
  WeightMatrix gate;  // [intermediate, hidden]
  WeightMatrix up;    // [intermediate, hidden]
  WeightMatrix down;  // [hidden, intermediate]
};

// out = down(gelu_tanh(gate x) * up x). x, out: [rows, hidden]; gate, up: scratch [rows, intermediate].
// Reference: Gemma4TextMLP.forward.
void gated_mlp(const Compute& compute, const GatedMlpWeights& weights, MatView<const float> x, MatView<float> gate,
               MatView<float> up, MatView<float> out);

}  // namespace carat
