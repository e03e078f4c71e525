#include "model/names.h"

#include <array>

#include "base/error.h"

namespace carat {
namespace {

// What Hugging Face names begin with: nothing, the prefix, or the prefix and the layer.
enum class Scope { kRoot, kModel, kLayer };

struct NameRow {
  TensorRole role;
  Scope scope;
  std::string_view gguf;
  std::string_view hugging_face;
};

// Sources: the GGUF names of llama.cpp's gemma3 and gemma4 architectures (gguf-py, constants.py), the parameter names
// of transformers' modeling_gemma3.py and modeling_gemma4.py. Row i is role i.
constexpr std::array kNames{
    NameRow{TensorRole::kEmbedding, Scope::kModel, "token_embd.weight", "embed_tokens.weight"},
    NameRow{TensorRole::kOutput, Scope::kRoot, "output.weight", "lm_head.weight"},
    NameRow{TensorRole::kFinalNorm, Scope::kModel, "output_norm.weight", "norm.weight"},
    NameRow{TensorRole::kPleTable, Scope::kModel, "per_layer_token_embd.weight", "embed_tokens_per_layer.weight"},
    NameRow{TensorRole::kPleProjection, Scope::kModel, "per_layer_model_proj.weight",
            "per_layer_model_projection.weight"},
    NameRow{TensorRole::kPleNorm, Scope::kModel, "per_layer_proj_norm.weight", "per_layer_projection_norm.weight"},
    NameRow{TensorRole::kPreProjection, Scope::kRoot, "nextn.pre_projection.weight", "pre_projection.weight"},
    NameRow{TensorRole::kPostProjection, Scope::kRoot, "nextn.post_projection.weight", "post_projection.weight"},
    NameRow{TensorRole::kCentroids, Scope::kRoot, "masked_embd_centroids.weight", "masked_embedding.centroids.weight"},
    NameRow{TensorRole::kTokenOrdering, Scope::kRoot, "masked_embd_ordering", "masked_embedding.token_ordering"},
    NameRow{TensorRole::kInputNorm, Scope::kLayer, "attn_norm.weight", "input_layernorm.weight"},
    NameRow{TensorRole::kQuery, Scope::kLayer, "attn_q.weight", "self_attn.q_proj.weight"},
    NameRow{TensorRole::kKey, Scope::kLayer, "attn_k.weight", "self_attn.k_proj.weight"},
    NameRow{TensorRole::kValue, Scope::kLayer, "attn_v.weight", "self_attn.v_proj.weight"},
    NameRow{TensorRole::kAttentionOutput, Scope::kLayer, "attn_output.weight", "self_attn.o_proj.weight"},
    NameRow{TensorRole::kQueryNorm, Scope::kLayer, "attn_q_norm.weight", "self_attn.q_norm.weight"},
    NameRow{TensorRole::kKeyNorm, Scope::kLayer, "attn_k_norm.weight", "self_attn.k_norm.weight"},
    NameRow{TensorRole::kPostAttentionNorm, Scope::kLayer, "post_attention_norm.weight",
            "post_attention_layernorm.weight"},
    NameRow{TensorRole::kPreFeedForwardNorm, Scope::kLayer, "ffn_norm.weight", "pre_feedforward_layernorm.weight"},
    NameRow{TensorRole::kGate, Scope::kLayer, "ffn_gate.weight", "mlp.gate_proj.weight"},
    NameRow{TensorRole::kUp, Scope::kLayer, "ffn_up.weight", "mlp.up_proj.weight"},
    NameRow{TensorRole::kDown, Scope::kLayer, "ffn_down.weight", "mlp.down_proj.weight"},
    NameRow{TensorRole::kPostFeedForwardNorm, Scope::kLayer, "post_ffw_norm.weight",
            "post_feedforward_layernorm.weight"},
    NameRow{TensorRole::kRouter, Scope::kLayer, "ffn_gate_inp.weight", "router.proj.weight"},
    NameRow{TensorRole::kRouterScale, Scope::kLayer, "ffn_gate_inp.scale", "router.scale"},
    NameRow{TensorRole::kExpertScale, Scope::kLayer, "ffn_down_exps.scale", "router.per_expert_scale"},
    NameRow{TensorRole::kExpertGateUp, Scope::kLayer, "ffn_gate_up_exps.weight", "experts.gate_up_proj"},
    NameRow{TensorRole::kExpertDown, Scope::kLayer, "ffn_down_exps.weight", "experts.down_proj"},
    NameRow{TensorRole::kPostSharedNorm, Scope::kLayer, "post_ffw_norm_1.weight",
            "post_feedforward_layernorm_1.weight"},
    NameRow{TensorRole::kPreRoutedNorm, Scope::kLayer, "pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight"},
    NameRow{TensorRole::kPostRoutedNorm, Scope::kLayer, "post_ffw_norm_2.weight",
            "post_feedforward_layernorm_2.weight"},
    NameRow{TensorRole::kPleGate, Scope::kLayer, "inp_gate.weight", "per_layer_input_gate.weight"},
    NameRow{TensorRole::kPleOutput, Scope::kLayer, "proj.weight", "per_layer_projection.weight"},
    NameRow{TensorRole::kPostPleNorm, Scope::kLayer, "post_norm.weight", "post_per_layer_input_norm.weight"},
    NameRow{TensorRole::kLayerScalar, Scope::kLayer, "layer_output_scale.weight", "layer_scalar"},
};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (static_cast<std::size_t>(kNames[i].role) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order() && static_cast<std::size_t>(TensorRole::kLayerScalar) + 1 == kNames.size());

std::vector<TensorRole> roles(bool is_per_layer) {
  std::vector<TensorRole> roles;
  for (const NameRow& row : kNames) {
    if ((row.scope == Scope::kLayer) == is_per_layer) roles.push_back(row.role);
  }
  return roles;
}

}  // namespace

std::string tensor_name(TensorRole role, NameStyle style, std::string_view prefix, std::size_t layer) {
  const NameRow& row = kNames[static_cast<std::size_t>(role)];
  if (style == NameStyle::kGguf) {
    return row.scope == Scope::kLayer ? str("blk.", layer, ".", row.gguf) : std::string(row.gguf);
  }
  switch (row.scope) {
    case Scope::kRoot:
      return std::string(row.hugging_face);
    case Scope::kModel:
      return str(prefix, row.hugging_face);
    case Scope::kLayer:
      return str(prefix, "layers.", layer, ".", row.hugging_face);
  }
  return {};
}

std::vector<TensorRole> model_roles() {
  return roles(false);
}

std::vector<TensorRole> layer_roles() {
  return roles(true);
}

}  // namespace carat
