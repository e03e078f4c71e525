// For tests: the eyes of a Hugging Face folder written as GGUF, with the names, shapes and orders that llama.cpp's
// converter gives them (conversion/gemma.py, Gemma4VisionAudioModel and Gemma4UnifiedVisionAudioModel).
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/safetensors.h"
#include "tensor/quantize.h"

namespace carat {

// The converter's name of a tensor; empty for what is no part of the eyes.
inline std::string gguf_vision_name(std::string name) {
  const std::pair<const char*, const char*> rules[] = {
      {"model.embed_vision.embedding_projection", "mm.input_projection"},
      {"model.vision_tower.patch_embedder.input_proj", "v.patch_embd"},
      {"model.vision_tower.patch_embedder.position_embedding_table", "v.position_embd.weight"},
      {"model.vision_tower.std_", "v.std_"},
      {"model.vision_tower.encoder.layers.", "v.blk."},
      {"model.vision_embedder.patch_dense", "v.patch_embd"},
      {"model.vision_embedder.patch_ln", "v.patch_norm."},
      {"model.vision_embedder.pos_norm", "v.patch_norm.3"},
      {"model.vision_embedder.pos_embedding", "v.position_embd.weight"},
      {".linear.weight", ".weight"},
      {"input_layernorm", "ln1"},
      {"post_attention_layernorm", "attn_post_norm"},
      {"pre_feedforward_layernorm", "ln2"},
      {"post_feedforward_layernorm", "ffn_post_norm"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_out"},
      {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"},
  };
  for (const auto& [from, to] : rules) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, std::strlen(from), to);
  }
  return name.starts_with("v.") || name.starts_with("mm.input") ? name : "";
}

// values: [outer, side, side, 3] to [outer, 3, side, side].
inline std::vector<float> channels_first(const std::vector<float>& values, std::size_t side) {
  const std::size_t area = side * side;
  std::vector<float> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t outer = i / (3 * area);
    const std::size_t pixel = i % (3 * area) / 3;
    out[outer * 3 * area + i % 3 * area + pixel] = values[i];
  }
  return out;
}

// A projector's file as --mmproj takes it.
inline void write_tiny_vision_gguf(const std::filesystem::path& folder, const std::filesystem::path& out) {
  const json::value document = parse_json_file(folder / "config.json");
  const json::object& config = document.at("vision_config").as_object();
  const bool is_unified = config.at("model_type") == "gemma4_unified_vision";
  const auto number = [&](const char* key) { return config.at(key).to_number<std::uint32_t>(); };
  const std::size_t side = number("patch_size") * (is_unified ? number("pooling_kernel_size") : 1);

  const Safetensors source(folder);
  GgufWriter writer(out);
  writer.add("general.architecture", "clip");
  writer.add("general.type", "mmproj");
  writer.add("clip.has_vision_encoder", true);
  writer.add("clip.vision.projector_type", is_unified ? "gemma4uv" : "gemma4v");
  writer.add("clip.vision.patch_size", number("patch_size"));
  writer.add("clip.vision.attention.layer_norm_epsilon", 1e-6F);
  writer.add("clip.vision.embedding_length", number(is_unified ? "mm_embed_dim" : "hidden_size"));
  if (!is_unified) {
    writer.add("clip.vision.feed_forward_length", number("intermediate_size"));
    writer.add("clip.vision.block_count", number("num_hidden_layers"));
    writer.add("clip.vision.attention.head_count", number("num_attention_heads"));
  }

  std::vector<std::vector<float>> all;
  for (const Tensor& tensor : source.tensors()) {
    const std::string name = gguf_vision_name(tensor.name);
    if (name.empty()) continue;
    std::vector<float> values(tensor.values());
    dequantize_row(tensor.dtype, tensor.bytes, values);
    std::vector<std::uint64_t> shape = tensor.shape;
    if (shape.empty()) shape = {1};  // bounds
    const bool is_patch = name == "v.patch_embd.weight" || name.starts_with("v.patch_norm.1");
    if (is_patch) values = channels_first(values, side);
    if (name == "v.patch_embd.weight" && !is_unified) shape = {shape[0], 3, side, side};
    if (name == "v.position_embd.weight" && is_unified) {  // [positions, 2, width] to [2, positions, width]
      const std::vector<float> old = values;
      const std::uint64_t width = shape[2];
      for (std::size_t i = 0; i < old.size(); ++i) {
        const std::size_t row = i / width;
        values[(row % 2 * shape[0] + row / 2) * width + i % width] = old[i];
      }
      shape = {2, shape[0], width};
    }
    writer.add_tensor(name, DType::kF32, shape);
    all.push_back(std::move(values));
  }
  for (const std::vector<float>& values : all) writer.write(std::as_bytes(std::span(values)));
  writer.finish();
}

}  // namespace carat
