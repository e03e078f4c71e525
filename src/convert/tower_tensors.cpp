#include "convert/tower_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace carat {
namespace {

// How a tensor's values change their places or themselves.
enum class Change : std::uint8_t {
  kNone,
  kToF32,         // vectors are f32 anyway; these are matrices and tables
  kPatchMatrix,   // [n, p * p * 3], values by row, column, channel -> [n, 3, p, p]
  kPatchColumns,  // the same order within a row, but the shape stays
  kPositions,     // [n, 2, width] -> [2, n, width]
  kDepthwise,     // [channels, 1, k] -> [channels, k]
  kSoftplus,      // ln(1 + e^x)
};

struct Row {
  std::string_view hugging_face;  // "N": the number of a layer
  std::string_view gguf;
  Change change = Change::kNone;
};

// Sources: parameter names of transformers' modeling_gemma4.py and modeling_gemma4_unified.py; GGUF names and changes
// of llama.cpp's conversion (gemma.py) and tensor_mapping.py. Its norm_conv is the norm behind the convolution, its
// conv_norm the one before the block.
constexpr std::array kRows{
    Row{"embed_vision.embedding_projection", "mm.input_projection"},
    Row{"embed_audio.embedding_projection", "mm.a.input_projection"},
    Row{"vision_tower.patch_embedder.input_proj", "v.patch_embd", Change::kPatchMatrix},
    Row{"vision_tower.patch_embedder.position_embedding_table", "v.position_embd.weight", Change::kToF32},
    Row{"vision_tower.std_bias", "v.std_bias"},
    Row{"vision_tower.std_scale", "v.std_scale"},
    Row{"vision_tower.encoder.layers.N.input_layernorm", "v.blk.N.ln1"},
    Row{"vision_tower.encoder.layers.N.post_attention_layernorm", "v.blk.N.attn_post_norm"},
    Row{"vision_tower.encoder.layers.N.pre_feedforward_layernorm", "v.blk.N.ln2"},
    Row{"vision_tower.encoder.layers.N.post_feedforward_layernorm", "v.blk.N.ffn_post_norm"},
    Row{"vision_tower.encoder.layers.N.self_attn.q_proj", "v.blk.N.attn_q"},
    Row{"vision_tower.encoder.layers.N.self_attn.k_proj", "v.blk.N.attn_k"},
    Row{"vision_tower.encoder.layers.N.self_attn.v_proj", "v.blk.N.attn_v"},
    Row{"vision_tower.encoder.layers.N.self_attn.o_proj", "v.blk.N.attn_out"},
    Row{"vision_tower.encoder.layers.N.self_attn.q_norm", "v.blk.N.attn_q_norm"},
    Row{"vision_tower.encoder.layers.N.self_attn.k_norm", "v.blk.N.attn_k_norm"},
    Row{"vision_tower.encoder.layers.N.mlp.gate_proj", "v.blk.N.ffn_gate"},
    Row{"vision_tower.encoder.layers.N.mlp.up_proj", "v.blk.N.ffn_up"},
    Row{"vision_tower.encoder.layers.N.mlp.down_proj", "v.blk.N.ffn_down"},
    Row{"vision_embedder.patch_dense", "v.patch_embd", Change::kPatchColumns},
    Row{"vision_embedder.patch_ln1", "v.patch_norm.1", Change::kPatchColumns},
    Row{"vision_embedder.patch_ln2", "v.patch_norm.2"},
    Row{"vision_embedder.pos_norm", "v.patch_norm.3"},
    Row{"vision_embedder.pos_embedding", "v.position_embd.weight", Change::kPositions},
    Row{"audio_tower.subsample_conv_projection.layerN.conv", "a.conv1d.N", Change::kToF32},
    Row{"audio_tower.subsample_conv_projection.layerN.norm", "a.conv1d.N.norm"},
    Row{"audio_tower.subsample_conv_projection.input_proj_linear", "a.input_projection"},
    Row{"audio_tower.output_proj", "a.pre_encode.out"},
    Row{"audio_tower.layers.N.feed_forward1.pre_layer_norm", "a.blk.N.ffn_norm"},
    Row{"audio_tower.layers.N.feed_forward1.ffw_layer_1", "a.blk.N.ffn_up"},
    Row{"audio_tower.layers.N.feed_forward1.ffw_layer_2", "a.blk.N.ffn_down"},
    Row{"audio_tower.layers.N.feed_forward1.post_layer_norm", "a.blk.N.ffn_post_norm"},
    Row{"audio_tower.layers.N.feed_forward2.pre_layer_norm", "a.blk.N.ffn_norm_1"},
    Row{"audio_tower.layers.N.feed_forward2.ffw_layer_1", "a.blk.N.ffn_up_1"},
    Row{"audio_tower.layers.N.feed_forward2.ffw_layer_2", "a.blk.N.ffn_down_1"},
    Row{"audio_tower.layers.N.feed_forward2.post_layer_norm", "a.blk.N.ffn_post_norm_1"},
    Row{"audio_tower.layers.N.norm_pre_attn", "a.blk.N.attn_pre_norm"},
    Row{"audio_tower.layers.N.norm_post_attn", "a.blk.N.attn_post_norm"},
    Row{"audio_tower.layers.N.norm_out", "a.blk.N.ln2"},
    Row{"audio_tower.layers.N.self_attn.q_proj", "a.blk.N.attn_q"},
    Row{"audio_tower.layers.N.self_attn.k_proj", "a.blk.N.attn_k"},
    Row{"audio_tower.layers.N.self_attn.v_proj", "a.blk.N.attn_v"},
    Row{"audio_tower.layers.N.self_attn.post", "a.blk.N.attn_out"},
    Row{"audio_tower.layers.N.self_attn.relative_k_proj", "a.blk.N.attn_k_rel"},
    Row{"audio_tower.layers.N.self_attn.per_dim_scale", "a.blk.N.per_dim_scale.weight", Change::kSoftplus},
    Row{"audio_tower.layers.N.lconv1d.pre_layer_norm", "a.blk.N.conv_norm"},
    Row{"audio_tower.layers.N.lconv1d.conv_norm", "a.blk.N.norm_conv"},
    Row{"audio_tower.layers.N.lconv1d.linear_start", "a.blk.N.conv_pw1"},
    Row{"audio_tower.layers.N.lconv1d.linear_end", "a.blk.N.conv_pw2"},
    Row{"audio_tower.layers.N.lconv1d.depthwise_conv1d", "a.blk.N.conv_dw", Change::kDepthwise},
};

// The endings that both forms share. A linear layer with bounds says ".linear.weight" in a folder.
constexpr std::array<std::string_view, 6> kEndings{".weight",    ".bias",       ".input_min",
                                                   ".input_max", ".output_min", ".output_max"};

struct Match {
  const Row* row;
  std::string number;       // of the layer; empty where the row has none
  std::string_view ending;  // one of kEndings, or nothing
};

// Whether name is that of the row, up to an ending.
std::optional<Match> match(const Row& row, std::string_view name) {
  Match found{&row, {}, {}};
  const std::size_t n = row.hugging_face.find('N');
  const std::string_view before = row.hugging_face.substr(0, n);
  if (!name.starts_with(before)) return std::nullopt;
  name.remove_prefix(before.size());
  if (n != std::string_view::npos) {
    const auto end = std::find_if(name.begin(), name.end(), [](char c) { return c < '0' || c > '9'; });
    found.number = std::string(name.begin(), end);
    if (found.number.empty()) return std::nullopt;
    name.remove_prefix(found.number.size());
    const std::string_view after = row.hugging_face.substr(n + 1);
    if (!name.starts_with(after)) return std::nullopt;
    name.remove_prefix(after.size());
  }
  if (name == ".linear.weight") name = ".weight";
  if (!name.empty() && std::find(kEndings.begin(), kEndings.end(), name) == kEndings.end()) return std::nullopt;
  found.ending = name;
  return found;
}

// From values by row, column, channel to values by channel, row, column.
void channels_first(std::span<float> row) {
  const std::vector<float> before(row.begin(), row.end());
  const std::size_t pixels = row.size() / 3;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t i = 0; i < pixels; ++i) row[channel * pixels + i] = before[3 * i + channel];
  }
}

void softplus(std::span<float> row) {
  for (float& x : row) x = static_cast<float>(std::log1p(std::exp(static_cast<double>(x))));
}

[[noreturn]] void refuse(const Tensor& tensor, std::string_view expected) {
  throw Error(ErrorKind::kBadFile, str(tensor.file->path().string(), ": tensor ", printable(tensor.name), " has shape ",
                                       shape_text(tensor.shape), ", expected ", expected, "."));
}

std::uint64_t side_of_patch(const Tensor& tensor) {
  const auto side = static_cast<std::uint64_t>(std::lround(std::sqrt(static_cast<double>(tensor.cols()) / 3)));
  if (tensor.cols() == 0 || side * side * 3 != tensor.cols()) refuse(tensor, "rows of side * side * 3 values");
  return side;
}

void apply(Change change, const Tensor& tensor, TensorJob& job) {
  switch (change) {
    case Change::kNone:
      return;
    case Change::kToF32:
      job.dtype = DType::kF32;
      return;
    case Change::kPatchMatrix: {
      if (tensor.shape.size() != 2) refuse(tensor, "a matrix");
      const std::uint64_t side = side_of_patch(tensor);
      job.shape = {tensor.rows(), 3, side, side};
      job.dtype = DType::kF32;  // llama.cpp's convolution takes no bf16
      job.edit = channels_first;
      return;
    }
    case Change::kPatchColumns:
      if (job.name.ends_with("v.patch_embd.bias")) return;  // one value for each row of the matrix
      side_of_patch(tensor);
      job.dtype = DType::kF32;
      job.edit = channels_first;
      return;
    case Change::kPositions: {
      if (tensor.shape.size() != 3 || tensor.shape[1] != 2) refuse(tensor, "[positions, 2, width]");
      const std::uint64_t positions = tensor.shape[0];
      job.shape = {2, positions, tensor.cols()};
      job.source_row = [positions](std::uint64_t i) { return 2 * (i % positions) + i / positions; };
      job.dtype = DType::kF32;
      return;
    }
    case Change::kDepthwise:
      if (tensor.shape.size() != 3 || tensor.shape[1] != 1) refuse(tensor, "[channels, 1, width]");
      job.shape = {tensor.shape[0], tensor.cols()};
      job.dtype = DType::kF32;
      return;
    case Change::kSoftplus:
      job.edit = softplus;
      return;
  }
}

}  // namespace

std::optional<TensorJob> tower_tensor(const Tensor& tensor, std::string_view prefix) {
  std::string_view name = tensor.name;
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  for (const Row& row : kRows) {
    const auto found = match(row, name);
    if (!found) continue;
    TensorJob job;
    for (const char c : row.gguf) job.name += c == 'N' ? found->number : std::string(1, c);
    job.name += found->ending;
    job.source = &tensor;
    job.shape = tensor.shape.empty() ? std::vector<std::uint64_t>{1} : tensor.shape;
    job.dtype = job.shape.size() == 1 ? DType::kF32 : tensor.dtype;
    apply(row.change, tensor, job);
    return job;
  }
  return std::nullopt;
}

}  // namespace carat
