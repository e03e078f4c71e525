// The vision tower's weights: views into the model's files, and the short vectors decoded to floats.
#pragma once

#include <vector>

#include "nn/clipped_linear.h"

namespace carat {

struct VisionLayerWeights {
  std::vector<float> input_norm;  // [hidden], as are the next three
  std::vector<float> post_attention_norm;
  std::vector<float> pre_feed_forward_norm;
  std::vector<float> post_feed_forward_norm;
  ClippedLinearWeights query;  // [heads * head_dim, hidden], as are the next two
  ClippedLinearWeights key;
  ClippedLinearWeights value;
  ClippedLinearWeights output;    // [hidden, heads * head_dim]
  std::vector<float> query_norm;  // [head_dim]
  std::vector<float> key_norm;    // [head_dim]
  ClippedLinearWeights gate;      // [intermediate, hidden]
  ClippedLinearWeights up;        // [intermediate, hidden]
  ClippedLinearWeights down;      // [hidden, intermediate]
};

struct VisionWeights {
  WeightMatrix patches;    // [hidden, 3 * patch_pixels^2]
  WeightMatrix positions;  // [2 * positions, hidden]: of columns, then of rows
  std::vector<VisionLayerWeights> layers;
  std::vector<float> standard_bias;   // [hidden]; empty where the output isn't standardised (E2B, E4B)
  std::vector<float> standard_scale;  // [hidden]
  WeightMatrix projection;            // [text_hidden, hidden]
};

}  // namespace carat
