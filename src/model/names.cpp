#include "model/names.h"

#include <array>

#include "base/error.h"

namespace carat {
namespace {

struct NameRow {
  TensorRole role;
  bool is_per_layer;
  std::string_view gguf;
  std::string_view hugging_face;
};

// Sources: the GGUF names of llama.cpp's gemma3 and gemma4 architectures (gguf-py, constants.py), the parameter names
// of transformers' modeling_gemma3.py and modeling_gemma4.py. Row i is role i.
constexpr std::array kNames{
    NameRow{TensorRole::kEmbedding, false, "token_embd.weight", "embed_tokens.weight"},
    NameRow{TensorRole::kOutput, false, "output.weight", "lm_head.weight"},
    NameRow{TensorRole::kFinalNorm, false, "output_norm.weight", "norm.weight"},
    NameRow{TensorRole::kPleTable, false, "per_layer_token_embd.weight", "embed_tokens_per_layer.weight"},
    NameRow{TensorRole::kPleProjection, false, "per_layer_model_proj.weight", "per_layer_model_projection.weight"},
    NameRow{TensorRole::kPleNorm, false, "per_layer_proj_norm.weight", "per_layer_projection_norm.weight"},
    NameRow{TensorRole::kInputNorm, true, "attn_norm.weight", "input_layernorm.weight"},
    NameRow{TensorRole::kQuery, true, "attn_q.weight", "self_attn.q_proj.weight"},
    NameRow{TensorRole::kKey, true, "attn_k.weight", "self_attn.k_proj.weight"},
    NameRow{TensorRole::kValue, true, "attn_v.weight", "self_attn.v_proj.weight"},
    NameRow{TensorRole::kAttentionOutput, true, "attn_output.weight", "self_attn.o_proj.weight"},
    NameRow{TensorRole::kQueryNorm, true, "attn_q_norm.weight", "self_attn.q_norm.weight"},
    NameRow{TensorRole::kKeyNorm, true, "attn_k_norm.weight", "self_attn.k_norm.weight"},
    NameRow{TensorRole::kPostAttentionNorm, true, "post_attention_norm.weight", "post_attention_layernorm.weight"},
    NameRow{TensorRole::kPreFeedForwardNorm, true, "ffn_norm.weight", "pre_feedforward_layernorm.weight"},
    NameRow{TensorRole::kGate, true, "ffn_gate.weight", "mlp.gate_proj.weight"},
    NameRow{TensorRole::kUp, true, "ffn_up.weight", "mlp.up_proj.weight"},
    NameRow{TensorRole::kDown, true, "ffn_down.weight", "mlp.down_proj.weight"},
    NameRow{TensorRole::kPostFeedForwardNorm, true, "post_ffw_norm.weight", "post_feedforward_layernorm.weight"},
    NameRow{TensorRole::kRouter, true, "ffn_gate_inp.weight", "router.proj.weight"},
    NameRow{TensorRole::kRouterScale, true, "ffn_gate_inp.scale", "router.scale"},
    NameRow{TensorRole::kExpertScale, true, "ffn_down_exps.scale", "router.per_expert_scale"},
    NameRow{TensorRole::kExpertGateUp, true, "ffn_gate_up_exps.weight", "experts.gate_up_proj"},
    NameRow{TensorRole::kExpertDown, true, "ffn_down_exps.weight", "experts.down_proj"},
    NameRow{TensorRole::kPostSharedNorm, true, "post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight"},
    NameRow{TensorRole::kPreRoutedNorm, true, "pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight"},
    NameRow{TensorRole::kPostRoutedNorm, true, "post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight"},
    NameRow{TensorRole::kPleGate, true, "inp_gate.weight", "per_layer_input_gate.weight"},
    NameRow{TensorRole::kPleOutput, true, "proj.weight", "per_layer_projection.weight"},
    NameRow{TensorRole::kPostPleNorm, true, "post_norm.weight", "post_per_layer_input_norm.weight"},
    NameRow{TensorRole::kLayerScalar, true, "layer_output_scale.weight", "layer_scalar"},
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
    if (row.is_per_layer == is_per_layer) roles.push_back(row.role);
  }
  return roles;
}

}  // namespace

std::string tensor_name(TensorRole role, NameStyle style, std::string_view prefix, std::size_t layer) {
  const NameRow& row = kNames[static_cast<std::size_t>(role)];
  if (role == TensorRole::kOutput && style == NameStyle::kHuggingFace)
    return std::string(row.hugging_face);  // no prefix
  if (style == NameStyle::kGguf) return row.is_per_layer ? str("blk.", layer, ".", row.gguf) : std::string(row.gguf);
  return row.is_per_layer ? str(prefix, "layers.", layer, ".", row.hugging_face) : str(prefix, row.hugging_face);
}

std::vector<TensorRole> model_roles() {
  return roles(false);
}

std::vector<TensorRole> layer_roles() {
  return roles(true);
}

}  // namespace carat
