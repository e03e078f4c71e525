// ModelConfig from GGUF metadata. Keys: gguf-py, constants.py; their meaning: llama.cpp's gemma3 and gemma4.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/config.h"
#include "model/config_limits.h"

namespace carat {
namespace {

// Reads keys of one architecture, "gemma4.block_count" for "block_count".
class Keys {
 public:
  Keys(const Gguf& gguf, std::string architecture)
      : gguf_(gguf), architecture_(std::move(architecture)), where_(gguf.path().string()) {}

  std::string key(std::string_view name) const { return str(architecture_, ".", name); }
  const std::string& where() const { return where_; }

  std::size_t size(std::string_view name, std::int64_t min, std::int64_t max) const {
    const auto value = gguf_.integer(key(name));
    if (!value) throw missing(name);
    return checked_size(*value, min, max, where_, key(name));
  }
  std::size_t size_or(std::string_view name, std::int64_t min, std::int64_t max, std::size_t otherwise) const {
    return gguf_.has(key(name)) ? size(name, min, max) : otherwise;
  }
  float positive_or(std::string_view name, double otherwise) const {
    return checked_positive(gguf_.number(key(name)).value_or(otherwise), where_, key(name));
  }
  // One value a layer, whether the file has an array or one value for all.
  std::vector<std::size_t> per_layer(std::string_view name, std::size_t layers, std::int64_t min,
                                     std::int64_t max) const {
    if (!gguf_.has(key(name))) throw missing(name);
    if (!gguf_.is_array(key(name))) return std::vector<std::size_t>(layers, size(name, min, max));
    const auto values = gguf_.integers(key(name));
    if (values->size() != layers) {
      throw Error(ErrorKind::kBadFile, str(where_, ": ", key(name), " has ", values->size(),
                                           " values, expected one for each of ", layers, " layers."));
    }
    std::vector<std::size_t> sizes;
    for (const std::int64_t value : *values) sizes.push_back(checked_size(value, min, max, where_, key(name)));
    return sizes;
  }
  bool has(std::string_view name) const { return gguf_.has(key(name)); }

 private:
  Error missing(std::string_view name) const {
    return {ErrorKind::kBadFile, str(where_, ": lacks the key ", key(name), ". Convert the model again.")};
  }

  const Gguf& gguf_;
  std::string architecture_;
  std::string where_;
};

// Which layers slide: the file's list, or every sixth global where it has none (Gemma 3).
std::vector<std::size_t> sliding_pattern(const Keys& keys, std::size_t layers) {
  constexpr std::size_t kPeriod = 6;
  if (keys.has("attention.sliding_window_pattern")) {
    return keys.per_layer("attention.sliding_window_pattern", layers, 0, 1);
  }
  std::vector<std::size_t> slides(layers, 1);
  for (std::size_t i = kPeriod - 1; i < layers; i += kPeriod) slides[i] = 0;
  return slides;
}

// Pairs of a global head that turn: proportional RoPE is written as a list of divisors, enormous where a pair stays.
std::size_t turning_pairs(const Gguf& gguf, std::size_t half, std::string_view where) {
  constexpr float kStays = 1e20F;
  const Tensor* divisors = gguf.find("rope_freqs.weight");
  if (divisors == nullptr) return half;
  if (divisors->dtype != DType::kF32 || divisors->values() != half) {
    throw Error(ErrorKind::kBadFile, str(where, ": tensor rope_freqs.weight is ", dtype_info(divisors->dtype).name, " ",
                                         shape_text(divisors->shape), ", expected f32 [", half, "]."));
  }
  std::vector<float> values(half);
  std::memcpy(values.data(), divisors->bytes.data(), divisors->bytes.size());
  std::size_t pairs = 0;
  while (pairs < half && values[pairs] == 1.0F) ++pairs;
  for (std::size_t i = pairs; i < half; ++i) {
    if (!(values[i] >= kStays)) {
      throw Error(ErrorKind::kUnsupported, str(where, ": tensor rope_freqs.weight scales pair ", i, " by ", values[i],
                                               "; only 1, then 1e20 and above are known."));
    }
  }
  return pairs;
}

std::size_t shared_layers(const Keys& keys) {
  return keys.size_or("attention.shared_kv_layers", 0, kMaxLayers, 0);
}

// Everything but whose keys each layer reads.
DecoderConfig decoder_config(const Gguf& gguf, const Keys& keys, bool is_gemma4) {
  DecoderConfig config;
  const std::size_t layers = keys.size("block_count", 1, kMaxLayers);
  config.hidden = keys.size("embedding_length", 1, kMaxWidth);
  config.heads = keys.size("attention.head_count", 1, kMaxHeads);
  config.window = keys.size("attention.sliding_window", 1, kMaxContext);
  config.context_length = keys.size("context_length", 1, kMaxContext);
  config.rms_eps = keys.positive_or("attention.layer_norm_rms_epsilon", 1e-6);
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden));
  config.ple_dim = keys.size_or("embedding_length_per_layer_input", 0, kMaxWidth, 0);
  config.moe.experts = keys.size_or("expert_count", 0, kMaxExperts, 0);
  if (config.moe.experts != 0) {
    config.moe.used = keys.size("expert_used_count", 1, kMaxExperts);
    config.moe.intermediate = keys.size("expert_feed_forward_length", 1, kMaxWidth);
  }
  const Tensor* embedding = gguf.find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    throw Error(
        ErrorKind::kBadFile,
        str(keys.where(), ": lacks the matrix token_embd.weight. Is it a whole model, not a projector or part?"));
  }
  config.vocab = checked_size(static_cast<std::int64_t>(embedding->shape[0]), 1, kMaxVocab, keys.where(), "vocabulary");

  const std::size_t global_dim = keys.size("attention.key_length", 1, kMaxHeadDim);
  const std::size_t sliding_dim = keys.size_or("attention.key_length_swa", 1, kMaxHeadDim, global_dim);
  const std::vector<std::size_t> slides = sliding_pattern(keys, layers);
  const std::vector<std::size_t> kv_heads = keys.per_layer("attention.head_count_kv", layers, 1, kMaxHeads);
  const std::vector<std::size_t> widths = keys.per_layer("feed_forward_length", layers, 1, kMaxWidth);
  const std::size_t shared = shared_layers(keys);
  for (std::size_t i = 0; i < layers; ++i) {
    LayerConfig layer;
    layer.is_sliding = slides[i] != 0;
    layer.head_dim = layer.is_sliding ? sliding_dim : global_dim;
    layer.kv_heads = kv_heads[i];
    layer.intermediate = widths[i];
    // The file doesn't say so, but a global layer that makes keys and has no value projection takes its values from
    // them.
    const bool makes_keys = i < layers - std::min(shared, layers);
    layer.is_k_eq_v =
        is_gemma4 && !layer.is_sliding && makes_keys && gguf.find(str("blk.", i, ".attn_v.weight")) == nullptr;
    config.layers.push_back(layer);
  }

  const double sliding_theta = keys.positive_or("rope.freq_base_swa", 10'000);
  const double global_theta = keys.positive_or("rope.freq_base", 1'000'000);
  config.rope_sliding = rope_frequencies(sliding_theta, sliding_dim, sliding_dim / 2, 1);
  if (is_gemma4) {
    config.has_value_norm = true;
    config.attention_scale = 1;
    config.final_logit_cap = static_cast<float>(gguf.number(keys.key("final_logit_softcapping")).value_or(0));
    // The file doesn't say so either: in models without per-layer embeddings (12B, 26B, 31B) a picture's tokens see
    // each other.
    if (config.ple_dim == 0) config.image_attention = ImageAttention::kWindowed;
    config.rope_global =
        rope_frequencies(global_theta, global_dim, turning_pairs(gguf, global_dim / 2, keys.where()), 1);
  } else {
    // query_pre_attn_scalar is head_dim but in the 27B model, where it is hidden / heads (Gemma 3 configurations).
    constexpr std::size_t kLayersOf27B = 62;
    const std::size_t scalar = layers == kLayersOf27B ? config.hidden / config.heads : global_dim;
    config.attention_scale = 1.0F / std::sqrt(static_cast<float>(scalar));
    const double factor = keys.positive_or("rope.scaling.factor", 1);
    config.rope_global = rope_frequencies(global_theta, global_dim, global_dim / 2, factor);
  }
  return config;
}

std::string architecture_of(const Gguf& gguf) {
  const auto architecture = gguf.string("general.architecture");
  if (!architecture) {
    throw Error(ErrorKind::kBadFile, str(gguf.path().string(), ": lacks the key general.architecture."));
  }
  return std::string(*architecture);
}

}  // namespace

ModelConfig config_from_gguf(const Gguf& gguf) {
  const std::string architecture = architecture_of(gguf);
  if (architecture != "gemma4" && architecture != "gemma3") {
    throw Error(ErrorKind::kUnsupported, str(gguf.path().string(), ": architecture \"", printable(architecture),
                                             "\" is not supported; carat runs gemma4 and gemma3."));
  }
  ModelConfig config;
  config.architecture = architecture;
  config.name = printable(gguf.string("general.name").value_or(""), 200);
  const Keys keys(gguf, architecture);
  config.decoder = decoder_config(gguf, keys, architecture == "gemma4");
  finish_decoder(config.decoder, shared_layers(keys), keys.where());
  return config;
}

DrafterConfig drafter_config_from_gguf(const Gguf& gguf) {
  const std::string architecture = architecture_of(gguf);
  if (architecture != "gemma4-assistant" && architecture != "gemma4_assistant") {
    throw Error(ErrorKind::kBadInput, str(gguf.path().string(), ": architecture \"", printable(architecture),
                                          "\" is no assistant, expected gemma4-assistant. Use the assistant that was "
                                          "published with the model."));
  }
  const Keys keys(gguf, architecture);
  DrafterConfig config;
  config.decoder = decoder_config(gguf, keys, true);
  config.target_hidden = keys.has("embedding_length_out") ? keys.size("embedding_length_out", 1, kMaxWidth)
                                                          : keys.size("n_embd_backbone", 1, kMaxWidth);
  if (const Tensor* centroids = gguf.find("masked_embd_centroids.weight"); centroids != nullptr) {
    config.centroids = checked_size(static_cast<std::int64_t>(centroids->rows()), 1, kMaxVocab, keys.where(),
                                    "rows of masked_embd_centroids.weight");
    config.centroids_used = keys.size_or("centroid_top_k", 1, kMaxVocab, 32);  // default: Gemma4AssistantConfig
  }
  finish_drafter(config, keys.where());
  return config;
}

}  // namespace carat
