// Sources: gguf-py, constants.py; the conversions of Gemma 3 and 4 in llama.cpp (gemma.py) and its reader clip.cpp.
#include "convert/model_keys.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace carat {
namespace {

std::uint32_t u32(std::size_t value) {
  return static_cast<std::uint32_t>(value);
}

// One value where all layers have the same, else a value a layer.
template <typename Value>
void add_per_layer(GgufWriter& writer, const std::string& key, const DecoderConfig& config, const Value& value) {
  std::vector<std::uint32_t> values;
  for (const LayerConfig& layer : config.layers) values.push_back(u32(value(layer)));
  if (std::all_of(values.begin(), values.end(), [&](std::uint32_t v) { return v == values[0]; })) {
    writer.add(key, values[0]);
  } else {
    writer.add_array(key, values);
  }
}

// head_dim of the layers of a kind; 0 where there is none.
std::size_t head_dim_of(const DecoderConfig& config, bool is_sliding) {
  for (const LayerConfig& layer : config.layers) {
    if (layer.is_sliding == is_sliding) return layer.head_dim;
  }
  return 0;
}

// GGUF knows one size of head for each kind of layer.
void check_heads(const DecoderConfig& config, std::string_view where) {
  for (const LayerConfig& layer : config.layers) {
    if (layer.head_dim != head_dim_of(config, layer.is_sliding)) {
      throw Error(ErrorKind::kUnsupported,
                  str(where, ": layer ", layer.index, " has heads of another size than other ",
                      layer.is_sliding ? "sliding" : "global", " layers, which GGUF can't say."));
    }
  }
}

// The base of a kind of layers' angles: newer files have it in rope_parameters, Gemma 3's older ones under old_key.
double rope_base(const json::object& text, std::string_view kind, std::string_view old_key, double otherwise,
                 std::string_view where) {
  double base = find_number(text, old_key, where).value_or(otherwise);
  if (const json::object* all = find_object(text, "rope_parameters", where)) {
    if (const json::object* rope = find_object(*all, kind, where)) {
      base = find_number(*rope, "rope_theta", where).value_or(base);
    }
  }
  return base;
}

void add_gemma4(GgufWriter& writer, const ModelConfig& config) {
  const DecoderConfig& decoder = config.decoder;
  const auto key = [&](std::string_view name) { return str(config.architecture, ".", name); };
  writer.add(key("embedding_length_per_layer_input"), u32(decoder.ple_dim));
  std::size_t shared = 0;
  for (const LayerConfig& layer : decoder.layers) shared += layer.owns_kv() ? 0U : 1U;
  writer.add(key("attention.shared_kv_layers"), u32(shared));
  writer.add(key("final_logit_softcapping"), decoder.final_logit_cap);
  if (decoder.moe.experts == 0) return;
  writer.add(key("expert_count"), u32(decoder.moe.experts));
  writer.add(key("expert_used_count"), u32(decoder.moe.used));
  writer.add(key("expert_feed_forward_length"), u32(decoder.moe.intermediate));
}

void add_gemma3(GgufWriter& writer, const json::object& text, const ModelConfig& config, std::string_view where) {
  const DecoderConfig& decoder = config.decoder;
  // Readers know query_pre_attn_scalar by the model: head_dim, but hidden / heads in the 27B (62 layers).
  constexpr std::size_t kLayersOf27B = 62;
  const std::size_t scalar =
      decoder.layers.size() == kLayersOf27B ? decoder.hidden / decoder.heads : head_dim_of(decoder, false);
  if (decoder.attention_scale != 1.0F / std::sqrt(static_cast<float>(scalar))) {
    throw Error(ErrorKind::kUnsupported,
                str(where, ": query_pre_attn_scalar is not ", scalar, ", and GGUF can't say another."));
  }
  double factor = 1;
  if (const json::object* scaling = find_object(text, "rope_scaling", where)) {
    factor = find_number(*scaling, "factor", where).value_or(factor);
  }
  if (const json::object* all = find_object(text, "rope_parameters", where)) {
    if (const json::object* rope = find_object(*all, "full_attention", where)) {
      factor = find_number(*rope, "factor", where).value_or(factor);
    }
  }
  if (factor != 1) {
    writer.add("gemma3.rope.scaling.type", "linear");
    writer.add("gemma3.rope.scaling.factor", static_cast<float>(factor));
  }
}

void add_decoder(GgufWriter& writer, const json::object& text, const ModelConfig& config, std::string_view where) {
  const DecoderConfig& decoder = config.decoder;
  const bool is_gemma4 = config.architecture != "gemma3";
  const auto key = [&](std::string_view name) { return str(config.architecture, ".", name); };
  check_heads(decoder, where);
  const std::size_t sliding_dim = head_dim_of(decoder, true);
  const std::size_t global_dim = head_dim_of(decoder, false);
  writer.add(key("block_count"), u32(decoder.layers.size()));
  writer.add(key("context_length"), u32(decoder.context_length));
  writer.add(key("embedding_length"), u32(decoder.hidden));
  add_per_layer(writer, key("feed_forward_length"), decoder, [](const LayerConfig& l) { return l.intermediate; });
  writer.add(key("attention.head_count"), u32(decoder.heads));
  add_per_layer(writer, key("attention.head_count_kv"), decoder, [](const LayerConfig& l) { return l.kv_heads; });
  writer.add(key("attention.layer_norm_rms_epsilon"), decoder.rms_eps);
  writer.add(key("attention.sliding_window"), u32(decoder.window));
  std::vector<bool> slides;
  for (const LayerConfig& layer : decoder.layers) slides.push_back(layer.is_sliding);
  writer.add_array(key("attention.sliding_window_pattern"), slides);
  writer.add(key("attention.key_length"), u32(global_dim == 0 ? sliding_dim : global_dim));
  writer.add(key("attention.value_length"), u32(global_dim == 0 ? sliding_dim : global_dim));
  if (is_gemma4 && sliding_dim != 0) {
    writer.add(key("attention.key_length_swa"), u32(sliding_dim));
    writer.add(key("attention.value_length_swa"), u32(sliding_dim));
    writer.add(key("rope.dimension_count_swa"), u32(sliding_dim));
    writer.add(key("rope.dimension_count"), u32(global_dim));
  }
  const double global_base = rope_base(text, "full_attention", "rope_theta", 1'000'000, where);
  const double sliding_base = rope_base(text, "sliding_attention", "rope_local_base_freq", 10'000, where);
  writer.add(key("rope.freq_base"), static_cast<float>(global_base));
  writer.add(key("rope.freq_base_swa"), static_cast<float>(sliding_base));
  if (is_gemma4) {
    add_gemma4(writer, config);
  } else {
    add_gemma3(writer, text, config, where);
  }
}

// Copies numbers of a tower's configuration under GGUF's names, where the folder has them.
struct NumberKey {
  std::string_view hugging_face;
  std::string_view gguf;
};

void add_numbers(GgufWriter& writer, const json::object& tower, std::string_view prefix, std::string_view where,
                 std::initializer_list<NumberKey> keys) {
  for (const NumberKey& key : keys) {
    const auto value = find_integer(tower, key.hugging_face, where);
    writer.add(str(prefix, key.gguf), u32(static_cast<std::size_t>(std::max<std::int64_t>(value.value_or(0), 0))));
  }
}

void add_vision(GgufWriter& writer, const json::object& vision, bool is_unified, std::size_t hidden,
                std::string_view where) {
  constexpr std::string_view kPrefix = "clip.vision.";
  writer.add("clip.has_vision_encoder", true);
  writer.add(str(kPrefix, "projector_type"), is_unified ? "gemma4uv" : "gemma4v");
  writer.add(str(kPrefix, "projection_dim"), u32(hidden));
  writer.add(str(kPrefix, "image_size"), std::uint32_t{224});  // of no meaning here, but readers ask for it
  add_numbers(writer, vision, kPrefix, where,
              {{"patch_size", "patch_size"},
               {is_unified ? "mm_embed_dim" : "hidden_size", "embedding_length"},
               {"intermediate_size", "feed_forward_length"},
               {"num_hidden_layers", "block_count"},
               {"num_attention_heads", "attention.head_count"}});
  writer.add(str(kPrefix, "attention.layer_norm_epsilon"),
             static_cast<float>(find_number(vision, "rms_norm_eps", where).value_or(1e-6)));
  writer.add_array(str(kPrefix, "image_mean"), std::vector<float>(3, 0.0F));
  writer.add_array(str(kPrefix, "image_std"), std::vector<float>(3, 1.0F));
}

void add_audio(GgufWriter& writer, const json::object& audio, bool is_unified, std::size_t hidden,
               std::string_view where) {
  constexpr std::string_view kPrefix = "clip.audio.";
  constexpr std::uint32_t kMelBins = 128;  // feature_extraction_gemma4.py
  writer.add("clip.has_audio_encoder", true);
  writer.add(str(kPrefix, "projector_type"), is_unified ? "gemma4ua" : "gemma4a");
  writer.add(str(kPrefix, "projection_dim"), u32(hidden));
  const std::string_view width = is_unified ? "audio_embed_dim" : "hidden_size";
  add_numbers(writer, audio, kPrefix, where,
              {{width, "embedding_length"},
               {"num_hidden_layers", "block_count"},
               {"num_attention_heads", "attention.head_count"}});
  const auto size = static_cast<std::size_t>(std::max<std::int64_t>(find_integer(audio, width, where).value_or(0), 0));
  writer.add(str(kPrefix, "feed_forward_length"),
             u32(is_unified ? 0 : 4 * size));  // modeling_gemma4.py, Gemma4AudioFeedForward
  writer.add(str(kPrefix, "num_mel_bins"), kMelBins);
  writer.add(str(kPrefix, "attention.layer_norm_epsilon"),
             static_cast<float>(find_number(audio, "rms_norm_eps", where).value_or(1e-6)));
}

}  // namespace

void add_model_keys(GgufWriter& writer, const json::object& document, const ModelConfig& config,
                    std::string_view where) {
  const json::object* nested = find_object(document, "text_config", where);
  add_decoder(writer, nested != nullptr ? *nested : document, config, where);
}

void add_assistant_keys(GgufWriter& writer, const DrafterConfig& config) {
  const auto add = [&](std::string_view name, std::size_t value) {
    writer.add(str("gemma4-assistant.", name), u32(value));
  };
  add("embedding_length_out", config.target_hidden);
  add("nextn_predict_layers", config.decoder.layers.size());
  // carat's own: llama.cpp has no centroids.
  if (config.centroids != 0) add("centroid_top_k", config.centroids_used);
}

void add_tower_keys(GgufWriter& writer, const json::object& document, const ModelConfig& config,
                    std::string_view where) {
  const bool is_unified = find_string(document, "model_type", where).value_or("") == "gemma4_unified";
  if (const json::object* vision = find_object(document, "vision_config", where)) {
    add_vision(writer, *vision, is_unified, config.decoder.hidden, where);
  }
  if (const json::object* audio = find_object(document, "audio_config", where)) {
    add_audio(writer, *audio, is_unified, config.decoder.hidden, where);
  }
}

}  // namespace carat
