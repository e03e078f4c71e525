// The audio tower's weights: views into the model's files, and what is short decoded to floats.
#pragma once

#include <vector>

#include "audio/config.h"
#include "nn/clipped_linear.h"

namespace carat {

struct SubsampleWeights {
  // [channels out, 9 * channels in]: a 3x3 kernel's columns ordered (time, frequency, channel) as the patches are,
  // where files order them (channel, time, frequency). Float32 in memory of its own: it is small.
  std::vector<float> kernel;
  std::vector<float> norm;  // [channels out]
};

struct AudioFeedForwardWeights {
  std::vector<float> pre_norm;   // [hidden]
  ClippedLinearWeights up;       // [4 * hidden, hidden]
  ClippedLinearWeights down;     // [hidden, 4 * hidden]
  std::vector<float> post_norm;  // [hidden]
};

struct AudioAttentionWeights {
  ClippedLinearWeights query;  // [hidden, hidden], as are the next three
  ClippedLinearWeights key;
  ClippedLinearWeights value;
  ClippedLinearWeights output;
  WeightMatrix relative_key;       // [hidden, hidden]
  std::vector<float> query_scale;  // [head_dim]: head_dim^-1/2 / ln 2 * softplus(per_dim_scale)
};

struct LightConvWeights {
  std::vector<float> pre_norm;   // [hidden]
  ClippedLinearWeights start;    // [2 * hidden, hidden]
  std::vector<float> kernel;     // [conv_width, hidden]: a weight a channel for each frame, the newest last
  std::vector<float> conv_norm;  // [hidden]
  ClippedLinearWeights end;      // [hidden, hidden]
};

struct ConformerWeights {
  AudioFeedForwardWeights feed_forward_1;
  std::vector<float> pre_attention_norm;  // [hidden]
  AudioAttentionWeights attention;
  std::vector<float> post_attention_norm;  // [hidden]
  LightConvWeights conv;
  AudioFeedForwardWeights feed_forward_2;
  std::vector<float> output_norm;  // [hidden]
};

struct AudioWeights {
  SubsampleWeights subsample[kSubsampleLayers];
  WeightMatrix input;  // [hidden, kSubsampledBins * channels]
  std::vector<ConformerWeights> layers;
  WeightMatrix output;             // [output, hidden]
  std::vector<float> output_bias;  // [output]
  WeightMatrix projection;         // [text_hidden, output]
};

}  // namespace carat
