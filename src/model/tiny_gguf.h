// For tests: a Hugging Face folder of Gemma 4 written as GGUF, as llama.cpp's converter lays it out, so that one set of
// golden values serves both formats.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/gguf_writer.h"
#include "checkpoint/safetensors.h"
#include "model/config.h"
#include "model/names.h"
#include "tensor/quantize.h"

namespace carat {

inline void write_tiny_metadata(GgufWriter& writer, const std::string& architecture, const DecoderConfig& config) {
  const auto key = [&](const char* name) { return architecture + "." + name; };
  const auto number = [&](const char* name, std::size_t value) {
    writer.add(key(name), static_cast<std::uint32_t>(value));
  };
  std::vector<bool> slides;
  std::vector<std::uint32_t> kv_heads;
  std::vector<std::uint32_t> widths;
  std::size_t shared = 0;
  for (const LayerConfig& layer : config.layers) {
    slides.push_back(layer.is_sliding);
    kv_heads.push_back(static_cast<std::uint32_t>(layer.kv_heads));
    widths.push_back(static_cast<std::uint32_t>(layer.intermediate));
    if (!layer.owns_kv()) ++shared;
  }
  std::size_t sliding_dim = config.layers.back().head_dim;
  for (const LayerConfig& layer : config.layers) {
    if (layer.is_sliding) sliding_dim = layer.head_dim;
  }
  writer.add("general.architecture", architecture);
  writer.add("general.name", "tiny");
  writer.add("general.license", "apache-2.0");
  number("block_count", config.layers.size());
  number("embedding_length", config.hidden);
  number("context_length", config.context_length);
  number("attention.head_count", config.heads);
  writer.add_array(key("attention.head_count_kv"), kv_heads);
  writer.add_array(key("feed_forward_length"), widths);
  number("attention.key_length", config.layers.back().head_dim);
  number("attention.key_length_swa", sliding_dim);
  number("attention.sliding_window", config.window);
  number("attention.shared_kv_layers", shared);
  number("embedding_length_per_layer_input", config.ple_dim);
  writer.add(key("attention.layer_norm_rms_epsilon"), config.rms_eps);
  writer.add(key("rope.freq_base"), 1e6F);
  writer.add(key("rope.freq_base_swa"), 1e4F);
  writer.add(key("final_logit_softcapping"), config.final_logit_cap);
  if (config.moe.experts != 0) {
    number("expert_count", config.moe.experts);
    number("expert_used_count", config.moe.used);
    number("expert_feed_forward_length", config.moe.intermediate);
  }
  // GGUF keeps booleans in a byte each.
  std::vector<std::uint8_t> pattern(slides.begin(), slides.end());
  writer.add_array(key("attention.sliding_window_pattern"), pattern);
}

// Matrices keep their type, vectors become f32, as a converter does it. prefix: what the folder's names begin with.
inline void copy_tiny_tensors(GgufWriter& writer, const Safetensors& source, std::string_view prefix,
                              const DecoderConfig& config) {
  std::vector<std::pair<const Tensor*, DType>> tensors;
  for (int role = 0; role <= static_cast<int>(TensorRole::kLayerScalar); ++role) {
    for (std::size_t layer = 0; layer < config.layers.size(); ++layer) {
      const auto r = static_cast<TensorRole>(role);
      const Tensor* tensor = source.find(tensor_name(r, NameStyle::kHuggingFace, prefix, layer));
      if (tensor == nullptr) continue;
      const bool is_vector = tensor->shape.size() == 1 && r != TensorRole::kTokenOrdering;
      const DType dtype = is_vector ? DType::kF32 : tensor->dtype;
      writer.add_tensor(tensor_name(r, NameStyle::kGguf, "", layer), dtype, tensor->shape);
      tensors.emplace_back(tensor, dtype);
      if (role < static_cast<int>(TensorRole::kInputNorm)) break;  // of the whole model: once
    }
  }
  const std::size_t half = config.layers.back().head_dim / 2;
  writer.add_tensor("rope_freqs.weight", DType::kF32, {half});

  for (const auto& [tensor, dtype] : tensors) {
    if (dtype == tensor->dtype) {
      writer.write(tensor->bytes);
    } else {
      std::vector<float> values(tensor->values());
      dequantize_row(tensor->dtype, tensor->bytes, values);
      writer.write(std::as_bytes(std::span(values)));
    }
  }
  std::vector<float> divisors(half, 1e30F);
  std::fill_n(divisors.begin(), config.rope_global.size(), 1.0F);
  writer.write(std::as_bytes(std::span(divisors)));
}

inline void write_tiny_gguf(const std::filesystem::path& folder, const std::filesystem::path& out) {
  const DecoderConfig config = config_from_hugging_face(folder / "config.json").decoder;
  const Safetensors source(folder);
  GgufWriter writer(out);
  write_tiny_metadata(writer, "gemma4", config);
  copy_tiny_tensors(writer, source, "model.language_model.", config);
  writer.finish();
}

inline void write_tiny_drafter_gguf(const std::filesystem::path& folder, const std::filesystem::path& out) {
  const DrafterConfig config = drafter_config_from_hugging_face(folder / "config.json");
  const Safetensors source(folder);
  GgufWriter writer(out);
  write_tiny_metadata(writer, "gemma4-assistant", config.decoder);
  writer.add("gemma4-assistant.embedding_length_out", static_cast<std::uint32_t>(config.target_hidden));
  writer.add("gemma4-assistant.centroid_top_k", static_cast<std::uint32_t>(config.centroids_used));
  copy_tiny_tensors(writer, source, "model.", config.decoder);
  writer.finish();
}

}  // namespace carat
