// For tests: the audio tower of a Hugging Face folder written as GGUF, with the names, shapes and values that
// llama.cpp's converter gives it (conversion/gemma.py, Gemma4VisionAudioModel).
#pragma once

#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/gguf_writer.h"
#include "checkpoint/safetensors.h"
#include "tensor/quantize.h"

namespace carat {

// The converter's name of a tensor of the tower; empty for what it leaves to others.
inline std::string gguf_audio_name(std::string name) {
  const std::pair<const char*, const char*> rules[] = {
      {"model.embed_audio.embedding_projection", "mm.a.input_projection"},
      {"model.audio_tower.subsample_conv_projection.input_proj_linear", "a.input_projection"},
      {"model.audio_tower.subsample_conv_projection.layer0.conv.", "a.conv1d.0."},
      {"model.audio_tower.subsample_conv_projection.layer1.conv.", "a.conv1d.1."},
      {"model.audio_tower.subsample_conv_projection.layer", "a.conv1d."},
      {"model.audio_tower.output_proj", "a.pre_encode.out"},
      {"model.audio_tower.layers.", "a.blk."},
      {".linear.weight", ".weight"},
      {"feed_forward1.pre_layer_norm", "ffn_norm"},
      {"feed_forward1.post_layer_norm", "ffn_post_norm"},
      {"feed_forward1.ffw_layer_1", "ffn_up"},
      {"feed_forward1.ffw_layer_2", "ffn_down"},
      {"feed_forward2.pre_layer_norm", "ffn_norm_1"},
      {"feed_forward2.post_layer_norm", "ffn_post_norm_1"},
      {"feed_forward2.ffw_layer_1", "ffn_up_1"},
      {"feed_forward2.ffw_layer_2", "ffn_down_1"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.post", "attn_out"},
      {"self_attn.relative_k_proj", "attn_k_rel"},
      {"self_attn.per_dim_scale", "per_dim_scale.weight"},
      {"norm_pre_attn", "attn_pre_norm"},
      {"norm_post_attn", "attn_post_norm"},
      {"lconv1d.pre_layer_norm", "conv_norm"},
      {"lconv1d.linear_start", "conv_pw1"},
      {"lconv1d.depthwise_conv1d", "conv_dw"},
      {"lconv1d.conv_norm", "norm_conv"},
      {"lconv1d.linear_end", "conv_pw2"},
      {"norm_out", "ln2"},
  };
  for (const auto& [from, to] : rules) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, std::strlen(from), to);
  }
  return name.starts_with("a.") || name.starts_with("mm.a.") ? name : "";
}

// The tower's keys and tensors, for any writer; write_tiny_audio_tensors has to come last.
class TinyAudioGguf {
 public:
  explicit TinyAudioGguf(const std::filesystem::path& folder) : source_(folder) {
    for (const Tensor& tensor : source_.tensors()) {
      if (!gguf_audio_name(tensor.name).empty()) tensors_.push_back(&tensor);
    }
  }

  // heads, layers and width: what no tensor's shape tells.
  void describe(GgufWriter& writer, std::uint32_t hidden, std::uint32_t heads, std::uint32_t layers) const {
    writer.add("clip.has_audio_encoder", true);
    writer.add("clip.audio.projector_type", "gemma4a");
    writer.add("clip.audio.embedding_length", hidden);
    writer.add("clip.audio.feed_forward_length", 4 * hidden);
    writer.add("clip.audio.attention.head_count", heads);
    writer.add("clip.audio.block_count", layers);
    writer.add("clip.audio.num_mel_bins", std::uint32_t{128});
    writer.add("clip.audio.attention.layer_norm_epsilon", 1e-6F);
    for (const Tensor* tensor : tensors_) {
      std::vector<std::uint64_t> shape = tensor->shape;
      if (shape.empty()) shape = {1};                                        // bounds
      if (shape.size() == 3 && shape[1] == 1) shape = {shape[0], shape[2]};  // the depthwise kernel
      writer.add_tensor(gguf_audio_name(tensor->name), dtype_of(*tensor), shape);
    }
  }

  void write(GgufWriter& writer) const {
    for (const Tensor* tensor : tensors_) {
      if (dtype_of(*tensor) == tensor->dtype) {
        writer.write(tensor->bytes);
        continue;
      }
      std::vector<float> values(tensor->values());
      dequantize_row(tensor->dtype, tensor->bytes, values);
      if (tensor->name.ends_with("per_dim_scale")) {
        for (float& v : values) v = std::log1p(std::exp(v));
      }
      writer.write(std::as_bytes(std::span(values)));
    }
  }

 private:
  // Matrices keep their type; vectors and convolutions become f32.
  static DType dtype_of(const Tensor& tensor) {
    const bool is_matrix = tensor.shape.size() == 2;
    return is_matrix ? tensor.dtype : DType::kF32;
  }

  Safetensors source_;
  std::vector<const Tensor*> tensors_;
};

}  // namespace carat
