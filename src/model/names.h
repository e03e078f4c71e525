// The names of tensors: role <-> GGUF name <-> Hugging Face name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

enum class TensorRole {
  // Of the whole model.
  kEmbedding,
  kOutput,
  kFinalNorm,
  kPleTable,
  kPleProjection,
  kPleNorm,
  // Of a drafter.
  kPreProjection,
  kPostProjection,
  kCentroids,
  kTokenOrdering,
  // Of a layer.
  kInputNorm,
  kQuery,
  kKey,
  kValue,
  kAttentionOutput,
  kQueryNorm,
  kKeyNorm,
  kPostAttentionNorm,
  kPreFeedForwardNorm,
  kGate,
  kUp,
  kDown,
  kPostFeedForwardNorm,
  kRouter,
  kRouterScale,
  kExpertScale,
  kExpertGateUp,
  kExpertDown,
  kPostSharedNorm,
  kPreRoutedNorm,
  kPostRoutedNorm,
  kPleGate,
  kPleOutput,
  kPostPleNorm,
  kLayerScalar,
};

enum class NameStyle { kGguf, kHuggingFace };

// "blk.3.attn_q.weight", or prefix + "layers.3.self_attn.q_proj.weight". layer is ignored for roles of the whole
// model. prefix: what Hugging Face names begin with, "model.language_model." for instance; unused for GGUF.
std::string tensor_name(TensorRole role, NameStyle style, std::string_view prefix, std::size_t layer);

// All roles of the whole model, and all of a layer, in the order of the list above.
std::vector<TensorRole> model_roles();
std::vector<TensorRole> layer_roles();

}  // namespace carat
