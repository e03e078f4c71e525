#include "model/load_vision.h"

#include <utility>

#include "base/error.h"
#include "model/config_limits.h"
#include "model/tower_tensors.h"
#include "vision/patch_embedder.h"
#include "vision/vision_tower.h"

namespace carat {
namespace {

constexpr std::int64_t kMaxPatchPixels = 256;
constexpr std::int64_t kMaxPool = 16;

// What a thing is called in the two kinds of files. Names of clipped linears lack ".weight".
struct Name {
  const char* gguf;
  const char* hugging_face;
};

// Sources: llama.cpp's clip (clip-impl.h, conversion/gemma.py), transformers' modeling_gemma4.py and
// modeling_gemma4_unified.py. Those of a Hugging Face folder come behind "model." or its like.
constexpr Name kProjection{"mm.input_projection.weight", "embed_vision.embedding_projection.weight"};
constexpr Name kPatches{"v.patch_embd.weight", "vision_tower.patch_embedder.input_proj.weight"};
constexpr Name kPositions{"v.position_embd.weight", "vision_tower.patch_embedder.position_embedding_table"};
constexpr Name kStandardBias{"v.std_bias", "vision_tower.std_bias"};
constexpr Name kStandardScale{"v.std_scale", "vision_tower.std_scale"};
// Of a layer, behind "v.blk.0." or "vision_tower.encoder.layers.0.".
constexpr Name kInputNorm{"ln1.weight", "input_layernorm.weight"};
constexpr Name kPostAttentionNorm{"attn_post_norm.weight", "post_attention_layernorm.weight"};
constexpr Name kPreFeedForwardNorm{"ln2.weight", "pre_feedforward_layernorm.weight"};
constexpr Name kPostFeedForwardNorm{"ffn_post_norm.weight", "post_feedforward_layernorm.weight"};
constexpr Name kQuery{"attn_q", "self_attn.q_proj"};
constexpr Name kKey{"attn_k", "self_attn.k_proj"};
constexpr Name kValue{"attn_v", "self_attn.v_proj"};
constexpr Name kOutput{"attn_out", "self_attn.o_proj"};
constexpr Name kQueryNorm{"attn_q_norm.weight", "self_attn.q_norm.weight"};
constexpr Name kKeyNorm{"attn_k_norm.weight", "self_attn.k_norm.weight"};
constexpr Name kGate{"ffn_gate", "mlp.gate_proj"};
constexpr Name kUp{"ffn_up", "mlp.up_proj"};
constexpr Name kDown{"ffn_down", "mlp.down_proj"};
// Of the unified model.
constexpr Name kDense{"v.patch_embd.weight", "vision_embedder.patch_dense.weight"};
constexpr Name kDenseBias{"v.patch_embd.bias", "vision_embedder.patch_dense.bias"};
constexpr Name kPatchNorm{"v.patch_norm.1", "vision_embedder.patch_ln1"};
constexpr Name kDenseNorm{"v.patch_norm.2", "vision_embedder.patch_ln2"};
constexpr Name kPositionNorm{"v.patch_norm.3", "vision_embedder.pos_norm"};
constexpr Name kUnifiedPositions{"v.position_embd.weight", "vision_embedder.pos_embedding"};

// The vision part of a config.json, or the keys "clip.vision." of a GGUF.
class Keys {
 public:
  explicit Keys(const TowerSource& source) : gguf_(source.gguf), where_(source.checkpoint->path().string()) {
    if (source.config_json != nullptr) object_ = find_object(*source.config_json, "vision_config", where_);
  }

  bool is_gguf() const { return gguf_ != nullptr; }
  const std::string& where() const { return where_; }

  // True where the source has eyes at all.
  bool exist() const {
    return is_gguf() ? gguf_->boolean("clip.has_vision_encoder").value_or(false) : object_ != nullptr;
  }
  std::string kind() const {
    if (!is_gguf()) return std::string(find_string(*object_, "model_type", where_).value_or(""));
    const auto own = gguf_->string("clip.vision.projector_type");
    return std::string(own ? *own : gguf_->string("clip.projector_type").value_or(""));
  }
  std::size_t size(const Name& key, std::int64_t max) const {
    const auto value = integer(key);
    if (!value) throw Error(ErrorKind::kBadFile, str(where_, ": lacks \"", full(key), "\"."));
    return checked_size(*value, 1, max, where_, full(key));
  }
  std::size_t size_or(const Name& key, std::int64_t max, std::size_t otherwise) const {
    return integer(key) ? size(key, max) : otherwise;
  }
  float positive_or(const Name& key, double otherwise) const {
    const auto value = is_gguf() ? gguf_->number(full(key)) : find_number(*object_, full(key), where_);
    return checked_positive(value.value_or(otherwise), where_, full(key));
  }
  bool boolean(const char* hugging_face) const {
    return !is_gguf() && find_boolean(*object_, hugging_face, where_).value_or(false);
  }
  // theta of rope_parameters; GGUF files don't state it.
  float rope_theta() const {
    constexpr double kDefault = 100;
    const json::object* rope = is_gguf() ? nullptr : find_object(*object_, "rope_parameters", where_);
    const auto theta = rope == nullptr ? std::nullopt : find_number(*rope, "rope_theta", where_);
    return checked_positive(theta.value_or(kDefault), where_, "rope_theta");
  }

 private:
  std::string full(const Name& key) const { return is_gguf() ? str("clip.vision.", key.gguf) : key.hugging_face; }
  std::optional<std::int64_t> integer(const Name& key) const {
    return is_gguf() ? gguf_->integer(full(key)) : find_integer(*object_, full(key), where_);
  }

  const Gguf* gguf_;
  const json::object* object_ = nullptr;
  std::string where_;
};

class Loader {
 public:
  Loader(const TowerSource& source, const Keys& keys, std::size_t text_hidden)
      : keys_(keys), tensors_(*source.checkpoint), text_hidden_(text_hidden) {
    if (keys_.is_gguf()) return;
    for (const char* prefix : {"model.", ""}) {
      prefix_ = prefix;
      if (tensors_.has(name(kProjection))) break;
    }
  }

  std::shared_ptr<const ImageEncoder> load_tower() {
    const VisionConfig config = read_config();
    const std::size_t hidden = config.hidden;
    VisionWeights w;
    w.patches = patch_matrix(name(kPatches), hidden, config.patch_pixels);
    const Tensor& positions = tensors_.tensor(name(kPositions), {2, config.positions, hidden});
    w.positions = {positions.dtype, positions.bytes.data(), 2 * config.positions, hidden,
                   row_bytes(positions.dtype, hidden).value_or(0)};
    const std::size_t layers = keys_.size({"block_count", "num_hidden_layers"}, kMaxLayers);
    for (std::size_t i = 0; i < layers; ++i) w.layers.push_back(load_layer(config, i));
    if (keys_.boolean("standardize") || tensors_.has(name(kStandardBias))) {
      w.standard_bias = tensors_.values(name(kStandardBias), {hidden});
      w.standard_scale = tensors_.values(name(kStandardScale), {hidden});
    }
    w.projection = tensors_.matrix(name(kProjection), text_hidden_, hidden);
    return std::make_shared<VisionTower>(config, std::move(w));
  }

  std::shared_ptr<const ImageEncoder> load_embedder() {
    PatchEmbedderConfig config;
    config.width = keys_.size({"embedding_length", "mm_embed_dim"}, kMaxWidth);
    config.patch_pixels = keys_.size_or({"patch_size", "patch_size"}, kMaxPatchPixels, 16) * pool();
    config.eps = eps();
    config.patch_order = patch_order();
    const std::size_t patch = 3 * config.patch_pixels * config.patch_pixels;
    PatchEmbedderWeights w;
    w.patch_norm = layer_norm(kPatchNorm, patch);
    w.dense = patch_matrix(name(kDense), config.width, config.patch_pixels);
    w.bias = tensors_.values(name(kDenseBias), {config.width});
    w.dense_norm = layer_norm(kDenseNorm, config.width);
    w.position_norm = layer_norm(kPositionNorm, config.width);
    w.projection = tensors_.matrix(name(kProjection), text_hidden_, config.width);
    load_positions(config, w);
    return std::make_shared<PatchEmbedder>(config, std::move(w));
  }

 private:
  std::string name(const Name& n) const { return keys_.is_gguf() ? n.gguf : str(prefix_, n.hugging_face); }
  std::size_t pool() const { return keys_.size_or({"projector.scale_factor", "pooling_kernel_size"}, kMaxPool, 3); }
  float eps() const { return keys_.positive_or({"attention.layer_norm_epsilon", "rms_norm_eps"}, 1e-6); }
  PatchOrder patch_order() const { return keys_.is_gguf() ? PatchOrder::kChannelFirst : PatchOrder::kChannelLast; }

  VisionConfig read_config() const {
    VisionConfig config;
    config.hidden = keys_.size({"embedding_length", "hidden_size"}, kMaxWidth);
    config.heads = keys_.size({"attention.head_count", "num_attention_heads"}, kMaxHeads);
    config.intermediate = keys_.size({"feed_forward_length", "intermediate_size"}, kMaxWidth);
    config.head_dim = keys_.size_or({"attention.key_length", "head_dim"}, kMaxHeadDim, config.hidden / config.heads);
    config.patch_pixels = keys_.size_or({"patch_size", "patch_size"}, kMaxPatchPixels, 16);
    config.pool = pool();
    config.eps = eps();
    config.rope_theta = keys_.rope_theta();
    config.patch_order = patch_order();
    if (config.head_dim % 4 != 0 || config.head_dim == 0) {
      throw Error(ErrorKind::kBadFile, str(keys_.where(), ": the vision tower's heads have width ", config.head_dim,
                                           ", expected a multiple of 4."));
    }
    // Files need not state how many positions the table has.
    const Tensor& positions = tensors_.tensor(name(kPositions));
    if (positions.shape.size() != 3 || positions.shape[1] == 0) {
      throw Error(ErrorKind::kBadFile, str(keys_.where(), ": tensor ", name(kPositions), " has shape ",
                                           shape_text(positions.shape), ", expected [2, positions, hidden]."));
    }
    config.positions = positions.shape[1];
    return config;
  }

  // The projection of patches, in GGUF a convolution's kernel: [outputs, channel, y, x].
  WeightMatrix patch_matrix(const std::string& tensor_name, std::size_t outputs, std::size_t patch_pixels) const {
    const std::size_t inputs = 3 * patch_pixels * patch_pixels;
    const Tensor& found = tensors_.tensor(tensor_name);
    if (found.shape.size() != 4) return tensors_.matrix(tensor_name, outputs, inputs);
    const Tensor& kernel = tensors_.tensor(tensor_name, {outputs, 3, patch_pixels, patch_pixels});
    const std::size_t bytes = kernel.bytes.size() / outputs;
    if (row_bytes(kernel.dtype, inputs) != bytes) {
      throw Error(ErrorKind::kUnsupported, str(keys_.where(), ": tensor ", tensor_name, " has element type ",
                                               dtype_info(kernel.dtype).name, ", whose blocks cross its rows."));
    }
    return {kernel.dtype, kernel.bytes.data(), outputs, inputs, bytes};
  }

  VisionLayerWeights load_layer(const VisionConfig& config, std::size_t i) const {
    const std::string prefix =
        keys_.is_gguf() ? str("v.blk.", i, ".") : str(prefix_, "vision_tower.encoder.layers.", i, ".");
    const auto layer_name = [&](const Name& n) { return prefix + (keys_.is_gguf() ? n.gguf : n.hugging_face); };
    const auto vector = [&](const Name& n, std::size_t size) { return tensors_.values(layer_name(n), {size}); };
    const auto linear = [&](const Name& n, std::size_t rows, std::size_t cols) {
      const std::string base = layer_name(n);
      return tensors_.clipped(base, base + (keys_.is_gguf() ? ".weight" : ".linear.weight"), rows, cols);
    };
    const std::size_t width = config.heads * config.head_dim;
    VisionLayerWeights w;
    w.input_norm = vector(kInputNorm, config.hidden);
    w.post_attention_norm = vector(kPostAttentionNorm, config.hidden);
    w.pre_feed_forward_norm = vector(kPreFeedForwardNorm, config.hidden);
    w.post_feed_forward_norm = vector(kPostFeedForwardNorm, config.hidden);
    w.query = linear(kQuery, width, config.hidden);
    w.key = linear(kKey, width, config.hidden);
    w.value = linear(kValue, width, config.hidden);
    w.output = linear(kOutput, config.hidden, width);
    w.query_norm = vector(kQueryNorm, config.head_dim);
    w.key_norm = vector(kKeyNorm, config.head_dim);
    w.gate = linear(kGate, config.intermediate, config.hidden);
    w.up = linear(kUp, config.intermediate, config.hidden);
    w.down = linear(kDown, config.hidden, config.intermediate);
    return w;
  }

  LayerNormWeights layer_norm(const Name& n, std::size_t size) const {
    return {tensors_.values(name(n) + ".weight", {size}), tensors_.values(name(n) + ".bias", {size})};
  }

  // [positions, 2, width] in a folder, [2, positions, width] in GGUF; the first of the two is the column's.
  void load_positions(PatchEmbedderConfig& config, PatchEmbedderWeights& w) const {
    const std::string table_name = name(kUnifiedPositions);
    const std::size_t axis = keys_.is_gguf() ? 0 : 1;
    const std::vector<std::uint64_t>& shape = tensors_.tensor(table_name).shape;
    if (shape.size() != 3 || shape[axis] != 2 || shape[1 - axis] == 0 || shape[2] != config.width) {
      throw Error(ErrorKind::kBadFile, str(keys_.where(), ": tensor ", table_name, " has shape ", shape_text(shape),
                                           ", expected two tables of positions of width ", config.width, "."));
    }
    config.positions = shape[1 - axis];
    const std::vector<float> table = tensors_.values(table_name, shape);
    const auto row_at = [&](std::size_t which, std::size_t position) {
      const std::size_t row = axis == 0 ? which * config.positions + position : position * 2 + which;
      return table.begin() + static_cast<std::ptrdiff_t>(row * config.width);
    };
    const auto width = static_cast<std::ptrdiff_t>(config.width);
    for (std::size_t i = 0; i < config.positions; ++i) {
      w.column.insert(w.column.end(), row_at(0, i), row_at(0, i) + width);
      w.row.insert(w.row.end(), row_at(1, i), row_at(1, i) + width);
    }
  }

  const Keys& keys_;
  TowerTensors tensors_;
  std::size_t text_hidden_;
  std::string prefix_;
};

}  // namespace

std::shared_ptr<const ImageEncoder> load_vision(const TowerSource& source, std::size_t text_hidden) {
  const Keys keys(source);
  if (!keys.exist()) return nullptr;
  const std::string kind = keys.kind();
  if (kind == "gemma4v" || kind == "gemma4_vision") return Loader(source, keys, text_hidden).load_tower();
  if (kind == "gemma4uv" || kind == "gemma4_unified_vision") return Loader(source, keys, text_hidden).load_embedder();
  // Gemma 3's tower is another; its text model runs all the same.
  if (kind.starts_with("gemma3") || kind.starts_with("siglip")) return nullptr;
  throw Error(ErrorKind::kUnsupported, str(keys.where(), ": a vision tower of kind \"", printable(kind),
                                           "\" is not supported; carat knows gemma4v and gemma4uv."));
}

}  // namespace carat
