#include "model/load_decoder.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/row_store.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

// Finds tensors by role and checks them against what is expected.
class Binder {
 public:
  Binder(const Checkpoint& checkpoint, const CheckpointStyle& style) : checkpoint_(checkpoint), style_(style) {}

  bool has(TensorRole role, std::size_t layer = 0) const { return checkpoint_.find(name(role, layer)) != nullptr; }

  // A matrix of outputs x inputs, or experts x outputs x inputs taken as one tall matrix.
  WeightMatrix matrix(TensorRole role, std::vector<std::uint64_t> shape, std::size_t layer = 0) {
    const Tensor& tensor = find(role, shape, layer);
    tensors_.push_back(&tensor);
    const std::uint64_t cols = shape.back();
    return {tensor.dtype, tensor.bytes.data(), tensor.rows(), cols, row_bytes(tensor.dtype, cols).value_or(0)};
  }

  // Those that matrices lie in.
  std::vector<const Tensor*> take_tensors() { return std::move(tensors_); }

  std::unique_ptr<const RowSource> row_store(TensorRole role, const std::vector<std::uint64_t>& shape) const {
    return std::make_unique<const RowStore>(find(role, shape, 0));
  }

  Vector vector(TensorRole role, std::uint64_t size, std::size_t layer = 0) const {
    const Tensor& tensor = find(role, {size}, layer);
    Vector values(size);
    dequantize_row(tensor.dtype, tensor.bytes, values);
    return values;
  }

  // A permutation of 0 .. size - 1, as 32- or 64-bit integers in the file.
  std::vector<std::int32_t> permutation(TensorRole role, std::uint64_t size) const {
    const Tensor& tensor = find_any_type(role, {size}, 0);
    std::vector<std::int32_t> values(size);
    std::vector<bool> is_seen(size, false);
    for (std::size_t i = 0; i < size; ++i) {
      std::int64_t value = -1;
      if (tensor.dtype == DType::kI64) {
        std::memcpy(&value, tensor.bytes.data() + i * sizeof value, sizeof value);
      } else if (tensor.dtype == DType::kI32) {
        std::int32_t narrow = -1;
        std::memcpy(&narrow, tensor.bytes.data() + i * sizeof narrow, sizeof narrow);
        value = narrow;
      }
      if (value < 0 || static_cast<std::uint64_t>(value) >= size || is_seen[static_cast<std::size_t>(value)]) {
        throw Error(ErrorKind::kBadFile,
                    str(checkpoint_.path().string(), ": tensor ", name(role, 0), " (", dtype_info(tensor.dtype).name,
                        ") is no list of every token once: entry ", i, ". Convert it again."));
      }
      is_seen[static_cast<std::size_t>(value)] = true;
      values[i] = static_cast<std::int32_t>(value);
    }
    return values;
  }

  Vector norm(TensorRole role, std::uint64_t size, std::size_t layer = 0) const {
    Vector weight = vector(role, size, layer);
    if (style_.is_norm_minus_one) {
      for (float& w : weight) w += 1;
    }
    return weight;
  }

 private:
  std::string name(TensorRole role, std::size_t layer) const {
    return tensor_name(role, style_.names, style_.prefix, layer);
  }

  const Tensor& find_any_type(TensorRole role, const std::vector<std::uint64_t>& shape, std::size_t layer) const {
    const std::string wanted = name(role, layer);
    const Tensor* tensor = checkpoint_.find(wanted);
    if (tensor == nullptr) {
      throw Error(ErrorKind::kBadFile,
                  str(checkpoint_.path().string(), ": lacks tensor ", wanted, " ", shape_text(shape),
                      ". The file is incomplete or its metadata is wrong; "
                      "download or convert it again."));
    }
    if (tensor->shape != shape) {
      throw Error(ErrorKind::kBadFile, str(checkpoint_.path().string(), ": tensor ", wanted, " has shape ",
                                           shape_text(tensor->shape), ", expected ", shape_text(shape),
                                           " by the model's metadata. Convert it again; `carat show "
                                           "--tensors` lists all."));
    }
    return *tensor;
  }

  const Tensor& find(TensorRole role, const std::vector<std::uint64_t>& shape, std::size_t layer) const {
    const Tensor& tensor = find_any_type(role, shape, layer);
    if (!can_dequantize(tensor.dtype)) {
      throw Error(ErrorKind::kUnsupported,
                  str(checkpoint_.path().string(), ": tensor ", name(role, layer), " has element type ",
                      dtype_info(tensor.dtype).name, ", which is no weight type."));
    }
    return tensor;
  }

  const Checkpoint& checkpoint_;
  const CheckpointStyle& style_;
  std::vector<const Tensor*> tensors_;
};

AttentionWeights load_attention(Binder& bind, const DecoderConfig& config, const LayerConfig& layer) {
  const std::size_t i = layer.index;
  const std::size_t query_rows = config.heads * layer.head_dim;
  const std::size_t key_rows = layer.kv_heads * layer.head_dim;
  AttentionWeights w;
  w.query = bind.matrix(TensorRole::kQuery, {query_rows, config.hidden}, i);
  w.query_norm = bind.norm(TensorRole::kQueryNorm, layer.head_dim, i);
  w.output = bind.matrix(TensorRole::kAttentionOutput, {config.hidden, query_rows}, i);
  if (layer.owns_kv()) {
    w.key = bind.matrix(TensorRole::kKey, {key_rows, config.hidden}, i);
    w.key_norm = bind.norm(TensorRole::kKeyNorm, layer.head_dim, i);
    if (!layer.is_k_eq_v) w.value = bind.matrix(TensorRole::kValue, {key_rows, config.hidden}, i);
  }
  return w;
}

MoeWeights load_moe(Binder& bind, const DecoderConfig& config, std::size_t i) {
  const MoeConfig& moe = config.moe;
  MoeWeights w;
  w.router = bind.matrix(TensorRole::kRouter, {moe.experts, config.hidden}, i);
  w.router_scale = bind.vector(TensorRole::kRouterScale, config.hidden, i);
  for (float& scale : w.router_scale) scale /= std::sqrt(static_cast<float>(config.hidden));
  w.expert_scale = bind.vector(TensorRole::kExpertScale, moe.experts, i);
  w.gate_up = bind.matrix(TensorRole::kExpertGateUp, {moe.experts, 2 * moe.intermediate, config.hidden}, i);
  w.down = bind.matrix(TensorRole::kExpertDown, {moe.experts, config.hidden, moe.intermediate}, i);
  w.post_shared_norm = bind.norm(TensorRole::kPostSharedNorm, config.hidden, i);
  w.pre_routed_norm = bind.norm(TensorRole::kPreRoutedNorm, config.hidden, i);
  w.post_routed_norm = bind.norm(TensorRole::kPostRoutedNorm, config.hidden, i);
  return w;
}

LayerWeights load_layer(Binder& bind, const DecoderConfig& config, const LayerConfig& layer) {
  const std::size_t i = layer.index;
  LayerWeights w;
  w.input_norm = bind.norm(TensorRole::kInputNorm, config.hidden, i);
  w.post_attention_norm = bind.norm(TensorRole::kPostAttentionNorm, config.hidden, i);
  w.pre_feed_forward_norm = bind.norm(TensorRole::kPreFeedForwardNorm, config.hidden, i);
  w.post_feed_forward_norm = bind.norm(TensorRole::kPostFeedForwardNorm, config.hidden, i);
  w.attention = load_attention(bind, config, layer);
  w.mlp.gate = bind.matrix(TensorRole::kGate, {layer.intermediate, config.hidden}, i);
  w.mlp.up = bind.matrix(TensorRole::kUp, {layer.intermediate, config.hidden}, i);
  w.mlp.down = bind.matrix(TensorRole::kDown, {config.hidden, layer.intermediate}, i);
  if (config.moe.experts != 0) w.moe = load_moe(bind, config, i);
  if (config.ple_dim != 0) {
    w.per_layer.gate = bind.matrix(TensorRole::kPleGate, {config.ple_dim, config.hidden}, i);
    w.per_layer.projection = bind.matrix(TensorRole::kPleOutput, {config.hidden, config.ple_dim}, i);
    w.per_layer.post_norm = bind.norm(TensorRole::kPostPleNorm, config.hidden, i);
  }
  if (bind.has(TensorRole::kLayerScalar, i)) w.scalar = bind.vector(TensorRole::kLayerScalar, 1, i)[0];
  return w;
}

}  // namespace

DecoderWeights load_decoder(const Checkpoint& checkpoint, const CheckpointStyle& style, const DecoderConfig& config) {
  Binder bind(checkpoint, style);
  DecoderWeights w;
  w.embedding = bind.matrix(TensorRole::kEmbedding, {config.vocab, config.hidden});
  w.output =
      bind.has(TensorRole::kOutput) ? bind.matrix(TensorRole::kOutput, {config.vocab, config.hidden}) : w.embedding;
  w.final_norm = bind.norm(TensorRole::kFinalNorm, config.hidden);
  if (config.ple_dim != 0) {
    const std::size_t width = config.layers.size() * config.ple_dim;
    w.ple_table = bind.row_store(TensorRole::kPleTable, {config.vocab, width});
    w.ple_projection = bind.matrix(TensorRole::kPleProjection, {width, config.hidden});
    w.ple_norm = bind.norm(TensorRole::kPleNorm, config.ple_dim);
  }
  for (const LayerConfig& layer : config.layers) w.layers.push_back(load_layer(bind, config, layer));
  w.tensors = bind.take_tensors();
  return w;
}

void enter_cached(const DecoderWeights& weights) noexcept {
  for (const Tensor* tensor : weights.tensors) {
    if (tensor->file != nullptr) enter_cached(*tensor->file, tensor->file_offset, tensor->bytes);
  }
}

std::string hugging_face_prefix(const Checkpoint& checkpoint) {
  for (const std::string_view prefix : {"model.language_model.", "language_model.model.", "model.", ""}) {
    if (checkpoint.find(str(prefix, "embed_tokens.weight")) != nullptr) return std::string(prefix);
  }
  throw Error(ErrorKind::kBadFile, str(checkpoint.path().string(),
                                       ": lacks tensor embed_tokens.weight under any known prefix. Is the folder a "
                                       "whole Gemma checkpoint?"));
}

DrafterWeights load_drafter(const Checkpoint& checkpoint, const CheckpointStyle& style, const DrafterConfig& config) {
  Binder bind(checkpoint, style);
  const std::size_t hidden = config.decoder.hidden;
  DrafterWeights w;
  w.decoder = load_decoder(checkpoint, style, config.decoder);
  w.pre_projection = bind.matrix(TensorRole::kPreProjection, {hidden, 2 * config.target_hidden});
  w.post_projection = bind.matrix(TensorRole::kPostProjection, {config.target_hidden, hidden});
  if (config.centroids != 0) {
    w.centroid = bind.matrix(TensorRole::kCentroids, {config.centroids, hidden});
    w.token_ordering = bind.permutation(TensorRole::kTokenOrdering, config.decoder.vocab);
  }
  return w;
}

}  // namespace carat
