#include "convert/tower_tensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"

namespace carat {
namespace {

Tensor tensor(std::string name, std::vector<std::uint64_t> shape) {
  Tensor result;
  result.name = std::move(name);
  result.dtype = DType::kBF16;
  result.shape = std::move(shape);
  return result;
}

struct Case {
  const char* hugging_face;
  std::vector<std::uint64_t> shape;
  const char* gguf;
  std::vector<std::uint64_t> gguf_shape;
  DType dtype;
};

// Names, shapes and types as llama.cpp's conversion writes them (conversion/gemma.py and gguf-py's tensor_mapping.py).
const Case kCases[] = {
    {"embed_vision.embedding_projection.weight", {48, 96}, "mm.input_projection.weight", {48, 96}, DType::kBF16},
    {"embed_audio.embedding_projection.weight", {48, 40}, "mm.a.input_projection.weight", {48, 40}, DType::kBF16},
    {"vision_tower.patch_embedder.input_proj.weight", {96, 768}, "v.patch_embd.weight", {96, 3, 16, 16}, DType::kF32},
    {"vision_tower.patch_embedder.position_embedding_table",
     {2, 320, 96},
     "v.position_embd.weight",
     {2, 320, 96},
     DType::kF32},
    {"vision_tower.encoder.layers.11.self_attn.o_proj.linear.weight",
     {96, 96},
     "v.blk.11.attn_out.weight",
     {96, 96},
     DType::kBF16},
    {"vision_tower.encoder.layers.11.mlp.gate_proj.output_min", {}, "v.blk.11.ffn_gate.output_min", {1}, DType::kF32},
    {"vision_tower.encoder.layers.0.pre_feedforward_layernorm.weight", {96}, "v.blk.0.ln2.weight", {96}, DType::kF32},
    {"vision_tower.std_scale", {64}, "v.std_scale", {64}, DType::kF32},
    {"vision_embedder.patch_dense.weight", {24, 6912}, "v.patch_embd.weight", {24, 6912}, DType::kF32},
    {"vision_embedder.patch_dense.bias", {24}, "v.patch_embd.bias", {24}, DType::kF32},
    {"vision_embedder.patch_ln1.bias", {6912}, "v.patch_norm.1.bias", {6912}, DType::kF32},
    {"vision_embedder.pos_embedding", {96, 2, 24}, "v.position_embd.weight", {2, 96, 24}, DType::kF32},
    {"audio_tower.subsample_conv_projection.layer1.conv.weight",
     {8, 128, 3, 3},
     "a.conv1d.1.weight",
     {8, 128, 3, 3},
     DType::kF32},
    {"audio_tower.subsample_conv_projection.layer1.norm.weight", {8}, "a.conv1d.1.norm.weight", {8}, DType::kF32},
    {"audio_tower.layers.3.feed_forward2.ffw_layer_2.linear.weight",
     {48, 192},
     "a.blk.3.ffn_down_1.weight",
     {48, 192},
     DType::kBF16},
    {"audio_tower.layers.3.lconv1d.depthwise_conv1d.weight",
     {48, 1, 5},
     "a.blk.3.conv_dw.weight",
     {48, 5},
     DType::kF32},
    {"audio_tower.layers.3.lconv1d.pre_layer_norm.weight", {48}, "a.blk.3.conv_norm.weight", {48}, DType::kF32},
    {"audio_tower.layers.3.lconv1d.conv_norm.weight", {48}, "a.blk.3.norm_conv.weight", {48}, DType::kF32},
    {"audio_tower.output_proj.bias", {40}, "a.pre_encode.out.bias", {40}, DType::kF32},
};

TEST(TowerTensors, HaveTheNamesOfProjectorFiles) {
  for (const Case& c : kCases) {
    const Tensor source = tensor(str("model.", c.hugging_face), c.shape);
    const auto job = tower_tensor(source, "model.");
    ASSERT_TRUE(job) << c.hugging_face;
    EXPECT_EQ(job->name, c.gguf);
    EXPECT_EQ(job->shape, c.gguf_shape) << c.hugging_face;
    EXPECT_EQ(job->dtype, c.dtype) << c.hugging_face;
  }
}

TEST(TowerTensors, OtherNamesAreNone) {
  for (const char* name :
       {"model.language_model.norm.weight", "model.vision_tower.encoder.layers..mlp.up_proj.weight",
        "model.vision_tower.encoder.layers.1.mlp.up_proj.scale", "vision_tower.std_scale", "model."}) {
    EXPECT_FALSE(tower_tensor(tensor(name, {4}), "model.")) << name;
  }
}

TEST(TowerTensors, PatchesGoByChannel) {
  const Tensor source = tensor("vision_tower.patch_embedder.input_proj.weight", {1, 12});
  std::vector<float> row(12);
  std::iota(row.begin(), row.end(), 0.0F);  // value 3 * pixel + channel
  tower_tensor(source, "")->edit(row);
  EXPECT_EQ(row, (std::vector<float>{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
}

TEST(TowerTensors, PositionsGoByAxis) {
  const auto job = tower_tensor(tensor("vision_embedder.pos_embedding", {3, 2, 4}), "");
  std::vector<std::uint64_t> rows;
  for (std::uint64_t i = 0; i < 6; ++i) rows.push_back(job->source_row(i));
  EXPECT_EQ(rows, (std::vector<std::uint64_t>{0, 2, 4, 1, 3, 5}));
}

TEST(TowerTensors, ScalesPerDimensionAreStoredPositive) {
  std::vector<float> row{0.0F, 1.0F, -20.0F};
  tower_tensor(tensor("audio_tower.layers.0.self_attn.per_dim_scale", {3}), "")->edit(row);
  EXPECT_FLOAT_EQ(row[0], std::log(2.0F));
  EXPECT_FLOAT_EQ(row[1], 1.3132616F);
  EXPECT_FLOAT_EQ(row[2], 2.0611537e-9F);
}

}  // namespace
}  // namespace carat
