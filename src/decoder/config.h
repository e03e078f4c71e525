// DecoderConfig: what a decoder is, as plain numbers. No model's name: forward asks only these.
#pragma once

#include <cstddef>
#include <vector>

#include "nn/profile.h"

namespace carat {

struct LayerConfig {
  std::size_t index = 0;
  bool is_sliding = false;  // sees `window` keys, itself among them; otherwise every key up to itself
  std::size_t head_dim = 0;
  std::size_t kv_heads = 0;
  bool is_k_eq_v = false;        // no value projection: the value is the raw key projection
  std::size_t kv_source = 0;     // layer whose keys and values it reads; its own index where it makes them
  bool reads_target = false;     // a drafter's layer: kv_source is a layer of the model it drafts for
  std::size_t intermediate = 0;  // width of the (dense) MLP

  LayerKind kind() const { return is_sliding ? LayerKind::kSliding : LayerKind::kGlobal; }
  bool owns_kv() const { return kv_source == index && !reads_target; }
};

struct MoeConfig {
  std::size_t experts = 0;  // 0: no mixture of experts
  std::size_t used = 0;     // experts a token goes through
  std::size_t intermediate = 0;
};

// How the tokens of one picture see each other.
enum class ImageAttention {
  kCausal,    // like text (E2B, E4B)
  kWindowed,  // on sliding layers each sees the later ones too; the window still cuts to the left (26B, 31B)
  kWhole,     // each sees all of them, on every layer and whatever the window (12B unified)
};

struct DecoderConfig {
  std::size_t vocab = 0;
  std::size_t hidden = 0;
  std::size_t heads = 0;
  std::size_t window = 0;          // of sliding layers
  std::size_t context_length = 0;  // positions the model was trained for
  std::size_t ple_dim = 0;         // width of the per-layer embeddings; 0: none
  MoeConfig moe;

  float rms_eps = 1e-6F;
  float embedding_scale = 1;    // sqrt(hidden)
  float attention_scale = 1;    // on q.k; Gemma 4: 1, Gemma 3: query_pre_attn_scalar^-1/2
  float final_logit_cap = 0;    // 0: none
  bool has_value_norm = false;  // Gemma 4: values go through an RMSNorm without weight
  ImageAttention image_attention = ImageAttention::kCausal;

  // Angle per position of each rotated pair, in radians; pairs beyond the list do not turn. At most head_dim / 2.
  std::vector<float> rope_sliding;
  std::vector<float> rope_global;

  std::vector<LayerConfig> layers;

  const std::vector<float>& rope_of(const LayerConfig& layer) const {
    return layer.is_sliding ? rope_sliding : rope_global;
  }
  // One past the last layer that makes keys and values: rows whose logits nobody wants go no further.
  std::size_t layers_that_matter_to_others() const;
};

// A drafter: a small decoder that reads the keys and values of the model it drafts for (decoder/drafter.h).
struct DrafterConfig {
  DecoderConfig decoder;          // each of its layers has reads_target set
  std::size_t target_hidden = 0;  // width of the target's hidden states
  std::size_t centroids = 0;      // clusters of the vocabulary; 0: every token's logit is computed
  std::size_t centroids_used = 0;
};

}  // namespace carat
