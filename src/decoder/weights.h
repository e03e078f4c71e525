// The decoder's weights: views into the model's files, and the short vectors (norms, scales) decoded to floats.
#pragma once

#include <memory>
#include <vector>

#include "kernels/weight_matrix.h"
#include "nn/gated_mlp.h"
#include "tensor/row_source.h"
#include "tensor/tensor.h"

namespace carat {

using Vector = std::vector<float>;

struct AttentionWeights {
  WeightMatrix query;   // [heads * head_dim, hidden]
  WeightMatrix key;     // [kv_heads * head_dim, hidden]; empty where the layer reads another's keys
  WeightMatrix value;   // the same shape; empty also where the value is the raw key
  WeightMatrix output;  // [hidden, heads * head_dim]
  Vector query_norm;    // [head_dim]
  Vector key_norm;      // [head_dim]
};

struct MoeWeights {
  WeightMatrix router;      // [experts, hidden]
  Vector router_scale;      // [hidden], hidden^-1/2 folded in
  Vector expert_scale;      // [experts]: on each expert's output
  WeightMatrix gate_up;     // [experts * 2 * intermediate, hidden]: gate rows of an expert, then its up rows
  WeightMatrix down;        // [experts * hidden, intermediate]
  Vector post_shared_norm;  // [hidden], on the dense MLP's output
  Vector pre_routed_norm;   // [hidden], on the experts' input
  Vector post_routed_norm;  // [hidden], on the experts' output
};

struct PerLayerInputWeights {
  WeightMatrix gate;        // [ple_dim, hidden]
  WeightMatrix projection;  // [hidden, ple_dim]
  Vector post_norm;         // [hidden]
};

struct LayerWeights {
  Vector input_norm;  // [hidden], as are the next three
  Vector post_attention_norm;
  Vector pre_feed_forward_norm;
  Vector post_feed_forward_norm;
  AttentionWeights attention;
  GatedMlpWeights mlp;
  MoeWeights moe;                  // models with experts
  PerLayerInputWeights per_layer;  // models with per-layer embeddings
  float scalar = 1;                // on the layer's whole output
};

struct DecoderWeights {
  WeightMatrix embedding;                      // [vocab, hidden]
  WeightMatrix output;                         // [vocab, hidden]: logits; the embedding where the two are tied
  Vector final_norm;                           // [hidden]
  std::unique_ptr<const RowSource> ple_table;  // [vocab, layers * ple_dim]; models with per-layer embeddings
  WeightMatrix ple_projection;                 // [layers * ple_dim, hidden], layer by layer
  Vector ple_norm;                             // [ple_dim], one for all layers
  std::vector<LayerWeights> layers;
  std::vector<const Tensor*> tensors;  // those that matrices lie in, of the checkpoint
};

}  // namespace carat
