// ModelConfig from a Hugging Face config.json. Keys: transformers, configuration_gemma3.py and configuration_gemma4.py.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "model/config.h"
#include "model/config_limits.h"

namespace carat {
namespace {

// An object of the file, read key by key with limits.
class Keys {
 public:
  Keys(const json::object& object, std::string where) : object_(object), where_(std::move(where)) {}

  const json::object& object() const { return object_; }
  const std::string& where() const { return where_; }

  std::size_t size(std::string_view key, std::int64_t min, std::int64_t max) const {
    const auto value = find_integer(object_, key, where_);
    if (!value) throw Error(ErrorKind::kBadFile, str(where_, ": lacks \"", key, "\"."));
    return checked_size(*value, min, max, where_, key);
  }
  std::size_t size_or(std::string_view key, std::int64_t min, std::int64_t max, std::size_t otherwise) const {
    return find_member(object_, key) != nullptr ? size(key, min, max) : otherwise;
  }
  float positive_or(std::string_view key, double otherwise) const {
    return checked_positive(find_number(object_, key, where_).value_or(otherwise), where_, key);
  }
  bool boolean(std::string_view key) const { return find_boolean(object_, key, where_).value_or(false); }
  std::string_view string_or(std::string_view key, std::string_view otherwise) const {
    return find_string(object_, key, where_).value_or(otherwise);
  }

 private:
  const json::object& object_;
  std::string where_;
};

// layer_types, or every sixth layer global where the file has no list. Gemma 4's last layer is always global
// (Gemma4TextConfig.__post_init__).
std::vector<bool> sliding_pattern(const Keys& text, std::size_t layers, bool is_gemma4) {
  std::vector<bool> slides(layers);
  if (const json::array* types = find_array(text.object(), "layer_types", text.where())) {
    if (types->size() != layers) {
      throw Error(ErrorKind::kBadFile, str(text.where(), ": \"layer_types\" has ", types->size(),
                                           " entries, expected one for each of ", layers, " layers."));
    }
    for (std::size_t i = 0; i < layers; ++i) {
      const json::value& type = (*types)[i];
      if (type != "sliding_attention" && type != "full_attention") {
        throw Error(ErrorKind::kUnsupported, str(text.where(), ": \"layer_types\" entry ", i,
                                                 " is neither sliding_attention nor full_attention."));
      }
      slides[i] = type == "sliding_attention";
    }
  } else {
    const std::size_t period = text.size_or("sliding_window_pattern", 1, kMaxLayers, 6);
    for (std::size_t i = 0; i < layers; ++i) slides[i] = (i + 1) % period != 0;
  }
  if (is_gemma4) slides[layers - 1] = false;
  return slides;
}

// Newer files replace global_head_dim and num_global_key_value_heads by overrides for single layers, keyed by the
// layer's index, which may be padded with zeros.
void apply_overrides(const Keys& text, DecoderConfig& config) {
  const json::object* overrides = find_object(text.object(), "per_layer_config", text.where());
  if (overrides == nullptr) return;
  for (const auto& [key, value] : *overrides) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    if (error != std::errc() || end != key.data() + key.size() || index >= config.layers.size() || !value.is_object()) {
      throw Error(ErrorKind::kBadFile,
                  str(text.where(), ": \"per_layer_config\" has the entry \"", printable(key),
                      "\", expected a layer's index below ", config.layers.size(), " with an object."));
    }
    const Keys layer(value.get_object(), str(text.where(), ": per_layer_config ", index));
    LayerConfig& target = config.layers[index];
    target.head_dim = layer.size_or("head_dim", 1, kMaxHeadDim, target.head_dim);
    target.kv_heads = layer.size_or("num_key_value_heads", 1, kMaxHeads, target.kv_heads);
    target.intermediate = layer.size_or("intermediate_size", 1, kMaxWidth, target.intermediate);
  }
}

// Angles of the layers that `kind` names in rope_parameters ("sliding_attention", "full_attention").
std::vector<float> gemma4_rope(const Keys& text, std::string_view kind, std::size_t head_dim, double default_theta,
                               double default_fraction) {
  double theta = default_theta;
  double fraction = default_fraction;
  if (const json::object* all = find_object(text.object(), "rope_parameters", text.where())) {
    if (const json::object* object = find_object(*all, kind, text.where())) {
      const Keys rope(*object, str(text.where(), ": rope_parameters ", kind));
      theta = rope.positive_or("rope_theta", default_theta);
      const std::string_view type = rope.string_or("rope_type", "default");
      if (type != "default" && type != "proportional") {
        throw Error(ErrorKind::kUnsupported, str(rope.where(), ": rope_type \"", printable(type), "\" is not known."));
      }
      fraction = type == "proportional" ? double{rope.positive_or("partial_rotary_factor", 1)} : 1.0;
    }
  }
  // modeling_rope_utils.py, _compute_proportional_rope_parameters: the exponent divides by the whole head_dim.
  const auto pairs = static_cast<std::size_t>(std::min(fraction, 1.0) * static_cast<double>(head_dim) / 2);
  return rope_frequencies(theta, head_dim, pairs, 1);
}

// What all architectures say alike.
void read_sizes(const Keys& text, DecoderConfig& config) {
  config.layers.resize(text.size("num_hidden_layers", 1, kMaxLayers));
  config.vocab = text.size_or("vocab_size", 1, kMaxVocab, 262'144);
  config.hidden = text.size("hidden_size", 1, kMaxWidth);
  config.heads = text.size("num_attention_heads", 1, kMaxHeads);
  config.window = text.size("sliding_window", 1, kMaxContext);
  config.context_length = text.size_or("max_position_embeddings", 1, kMaxContext, 131'072);
  config.rms_eps = text.positive_or("rms_norm_eps", 1e-6);
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden));
}

// Everything but whose keys each layer reads; returns how many of the last layers share those of others.
std::size_t read_gemma4(const Keys& text, DecoderConfig& config) {
  const std::size_t layers = config.layers.size();
  const std::size_t head_dim = text.size("head_dim", 1, kMaxHeadDim);
  const std::size_t kv_heads = text.size("num_key_value_heads", 1, kMaxHeads);
  const std::size_t intermediate = text.size("intermediate_size", 1, kMaxWidth);
  const std::size_t shared = text.size_or("num_kv_shared_layers", 0, kMaxLayers, 0);
  const bool is_k_eq_v = text.boolean("attention_k_eq_v");
  const bool has_overrides = find_member(text.object(), "per_layer_config") != nullptr;
  constexpr std::size_t kDefaultGlobalHeadDim = 512;
  const std::size_t global_dim =
      text.size_or("global_head_dim", 1, kMaxHeadDim, has_overrides ? head_dim : kDefaultGlobalHeadDim);
  const std::size_t global_kv_heads =
      is_k_eq_v ? text.size_or("num_global_key_value_heads", 1, kMaxHeads, kv_heads) : kv_heads;
  const std::vector<bool> slides = sliding_pattern(text, layers, true);
  for (std::size_t i = 0; i < layers; ++i) {
    LayerConfig& layer = config.layers[i];
    layer.is_sliding = slides[i];
    layer.head_dim = slides[i] ? head_dim : global_dim;
    layer.kv_heads = slides[i] ? kv_heads : global_kv_heads;
    layer.is_k_eq_v = is_k_eq_v && !slides[i];
    const bool is_wide = text.boolean("use_double_wide_mlp") && i + shared >= layers;
    layer.intermediate = is_wide ? 2 * intermediate : intermediate;
  }
  apply_overrides(text, config);

  config.has_value_norm = true;
  config.attention_scale = 1;
  config.final_logit_cap =
      static_cast<float>(find_number(text.object(), "final_logit_softcapping", text.where()).value_or(0));
  config.ple_dim = text.size_or("hidden_size_per_layer_input", 0, kMaxWidth, 0);
  if (text.boolean("enable_moe_block")) {
    config.moe.experts = text.size("num_experts", 1, kMaxExperts);
    config.moe.used = text.size("top_k_experts", 1, kMaxExperts);
    config.moe.intermediate = text.size("moe_intermediate_size", 1, kMaxWidth);
  }
  const std::string_view bidirectional = text.string_or("use_bidirectional_attention", "");
  if (!bidirectional.empty() && bidirectional != "vision") {
    throw Error(ErrorKind::kUnsupported, str(text.where(), ": use_bidirectional_attention \"", printable(bidirectional),
                                             "\" is not supported; carat knows null and \"vision\"."));
  }
  if (bidirectional == "vision") config.image_attention = ImageAttention::kWindowed;
  // The last layer is always global, and overrides may have changed its head_dim.
  config.rope_sliding = gemma4_rope(text, "sliding_attention", head_dim, 10'000, 1);
  config.rope_global = gemma4_rope(text, "full_attention", config.layers.back().head_dim, 1'000'000, 0.25);
  return shared;
}

void read_gemma3(const Keys& text, DecoderConfig& config) {
  const std::size_t head_dim = text.size_or("head_dim", 1, kMaxHeadDim, 256);
  const std::size_t kv_heads = text.size("num_key_value_heads", 1, kMaxHeads);
  const std::size_t intermediate = text.size("intermediate_size", 1, kMaxWidth);
  const std::vector<bool> slides = sliding_pattern(text, config.layers.size(), false);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    LayerConfig& layer = config.layers[i];
    layer.is_sliding = slides[i];
    layer.head_dim = head_dim;
    layer.kv_heads = kv_heads;
    layer.intermediate = intermediate;
  }
  config.attention_scale = 1.0F / std::sqrt(text.positive_or("query_pre_attn_scalar", 256));
  double factor = 1;
  if (const json::object* scaling = find_object(text.object(), "rope_scaling", text.where())) {
    factor = Keys(*scaling, str(text.where(), ": rope_scaling")).positive_or("factor", 1);
  }
  double sliding_theta = text.positive_or("rope_local_base_freq", 10'000);
  double global_theta = text.positive_or("rope_theta", 1'000'000);
  if (const json::object* all = find_object(text.object(), "rope_parameters", text.where())) {  // newer files
    if (const json::object* local = find_object(*all, "sliding_attention", text.where())) {
      sliding_theta = Keys(*local, text.where()).positive_or("rope_theta", sliding_theta);
    }
    if (const json::object* global = find_object(*all, "full_attention", text.where())) {
      global_theta = Keys(*global, text.where()).positive_or("rope_theta", global_theta);
      factor = Keys(*global, text.where()).positive_or("factor", factor);
    }
  }
  config.rope_sliding = rope_frequencies(sliding_theta, head_dim, head_dim / 2, 1);
  config.rope_global = rope_frequencies(global_theta, head_dim, head_dim / 2, factor);
}

json::value parse_config(const std::filesystem::path& config_json) {
  json::value document = parse_json_file(config_json);
  if (!document.is_object()) {
    throw Error(ErrorKind::kBadFile, str(config_json.string(), ": holds no JSON object. Is it a model's config.json?"));
  }
  return document;
}

MediaTokenIds media_token_ids(const Keys& root) {
  const auto id = [&](std::string_view key) {
    const auto value = find_integer(root.object(), key, root.where());
    return value ? static_cast<std::int32_t>(checked_size(*value, 0, kMaxVocab, root.where(), key)) : -1;
  };
  MediaTokenIds ids;
  ids.image = id("image_token_id");
  ids.audio = id("audio_token_id");
  ids.video = id("video_token_id");
  ids.image_begin = id("boi_token_id");
  ids.image_end = id("eoi_token_id");
  ids.audio_begin = id("boa_token_id");
  // Files differ in what they call it (Gemma4Config: eoa_token_index).
  ids.audio_end = std::max(id("eoa_token_id"), id("eoa_token_index"));
  return ids;
}

}  // namespace

ModelConfig config_from_hugging_face(const std::filesystem::path& config_json) {
  const json::value document = parse_config(config_json);
  const Keys root(document.get_object(), config_json.string());
  const std::string_view type = root.string_or("model_type", "");
  const bool is_gemma4 = type == "gemma4" || type == "gemma4_text" || type == "gemma4_unified";
  const bool is_gemma3 = type == "gemma3" || type == "gemma3_text";
  if (!is_gemma4 && !is_gemma3) {
    throw Error(ErrorKind::kUnsupported,
                str(config_json.string(), ": model_type \"", printable(type),
                    "\" is not supported; carat runs gemma4, gemma4_unified, gemma3 and their text models."));
  }
  const json::object* nested = find_object(root.object(), "text_config", root.where());
  const Keys text(nested != nullptr ? *nested : root.object(), root.where());

  ModelConfig config;
  config.architecture = is_gemma4 ? "gemma4" : "gemma3";
  config.has_vision = find_member(root.object(), "vision_config") != nullptr;
  config.has_audio = find_member(root.object(), "audio_config") != nullptr;
  config.media_tokens = media_token_ids(root);

  DecoderConfig& decoder = config.decoder;
  read_sizes(text, decoder);
  std::size_t shared = 0;
  if (is_gemma4) {
    shared = read_gemma4(text, decoder);
    // The unified model's forward() and with it generate() build other masks (modeling_gemma4_unified.py).
    if (type == "gemma4_unified" && decoder.image_attention == ImageAttention::kWindowed) {
      decoder.image_attention = ImageAttention::kWhole;
    }
  } else {
    read_gemma3(text, decoder);
  }
  finish_decoder(decoder, shared, text.where());
  return config;
}

DrafterConfig drafter_config_from_hugging_face(const std::filesystem::path& config_json) {
  const json::value document = parse_config(config_json);
  const Keys root(document.get_object(), config_json.string());
  const std::string_view type = root.string_or("model_type", "");
  if (type != "gemma4_assistant" && type != "gemma4_unified_assistant") {
    throw Error(ErrorKind::kBadInput, str(config_json.string(), ": model_type \"", printable(type),
                                          "\" is no assistant, expected gemma4_assistant. Use the assistant that was "
                                          "published with the model."));
  }
  const json::object* nested = find_object(root.object(), "text_config", root.where());
  if (nested == nullptr) throw Error(ErrorKind::kBadFile, str(root.where(), ": lacks \"text_config\"."));
  const Keys text(*nested, root.where());

  DrafterConfig config;
  config.target_hidden = root.size("backbone_hidden_size", 1, kMaxWidth);
  if (root.boolean("use_ordered_embeddings")) {  // defaults: Gemma4AssistantConfig
    config.centroids = root.size_or("num_centroids", 1, kMaxVocab, 2048);
    config.centroids_used = root.size_or("centroid_intermediate_top_k", 1, kMaxVocab, 32);
  }
  read_sizes(text, config.decoder);
  read_gemma4(text, config.decoder);
  finish_drafter(config, text.where());
  return config;
}

}  // namespace carat
