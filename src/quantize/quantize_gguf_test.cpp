#include "quantize/quantize_gguf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "base/error.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/test_files.h"
#include "quantize/importance.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

struct Shape {
  const char* name;
  std::vector<std::uint64_t> shape;
};

// One tensor of each kind; expert rows of 704 values as in the 26B.
const std::vector<Shape> kShapes{{"token_embd.weight", {64, 512}},
                                 {"per_layer_token_embd.weight", {64, 256}},
                                 {"per_layer_model_proj.weight", {256, 512}},
                                 {"output_norm.weight", {512}},
                                 {"blk.0.attn_q.weight", {96, 512}},
                                 {"blk.0.attn_v.weight", {32, 512}},
                                 {"blk.0.ffn_down.weight", {512, 768}},
                                 {"blk.0.ffn_gate_inp.weight", {4, 512}},
                                 {"blk.0.ffn_gate_up_exps.weight", {4, 64, 512}},
                                 {"blk.0.ffn_down_exps.weight", {4, 32, 704}}};

fs::path write_model(const fs::path& folder, float planted = 0) {
  const fs::path path = folder / "in.gguf";
  GgufWriter writer(path);
  writer.add("general.architecture", "gemma4");
  writer.add("gemma4.block_count", std::uint32_t{8});
  for (const Shape& shape : kShapes) writer.add_tensor(shape.name, DType::kF32, shape.shape);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02F);
  for (const Shape& shape : kShapes) {
    std::uint64_t count = 1;
    for (const std::uint64_t extent : shape.shape) count *= extent;
    std::vector<float> values(count);
    for (float& x : values) x = normal(random);
    if (shape.name == std::string("blk.0.ffn_down.weight") && planted != 0) values[1000] = planted;
    writer.write(std::as_bytes(std::span(values)));
  }
  writer.finish();
  return path;
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string type_of(const Gguf& gguf, const char* name) {
  return std::string(dtype_info(gguf.find(name)->dtype).name);
}

TEST(QuantizeGguf, RecipeSaysWhatEachTensorBecomes) {
  const TemporaryFolder work;
  QuantizeOptions options{.input = write_model(work.path()), .output = work.path() / "out.gguf", .recipe = "Q4_K_M"};
  options.rules = {parse_rule("ple=q4_0"), parse_rule("blk.0.attn_*=q8_0"), parse_rule("value=keep")};
  const auto report = quantize_gguf(options);
  const Gguf out(options.output);
  EXPECT_EQ(type_of(out, "token_embd.weight"), "q6_k");
  EXPECT_EQ(type_of(out, "per_layer_token_embd.weight"), "q4_0");
  EXPECT_EQ(type_of(out, "per_layer_model_proj.weight"), "f32");
  EXPECT_EQ(type_of(out, "output_norm.weight"), "f32");
  EXPECT_EQ(type_of(out, "blk.0.attn_q.weight"), "q8_0");
  EXPECT_EQ(type_of(out, "blk.0.attn_v.weight"), "f32") << "the last rule that fits counts";
  EXPECT_EQ(type_of(out, "blk.0.ffn_down.weight"), "q6_k");
  EXPECT_EQ(type_of(out, "blk.0.ffn_gate_inp.weight"), "f32");
  EXPECT_EQ(type_of(out, "blk.0.ffn_gate_up_exps.weight"), "q4_k");
  EXPECT_EQ(type_of(out, "blk.0.ffn_down_exps.weight"), "q8_0") << "704 is no multiple of 256";
  EXPECT_EQ(report.back().wanted, DType::kQ6_K);
  EXPECT_EQ(out.string("general.architecture"), "gemma4");
  EXPECT_EQ(out.integer("general.file_type"), 15);
}

TEST(QuantizeGguf, ThreadsDoNotChangeTheFile) {
  const TemporaryFolder work;
  const fs::path input = write_model(work.path());
  for (const std::size_t threads : {1U, 3U}) {
    quantize_gguf(
        {.input = input, .output = work.path() / std::to_string(threads), .recipe = "q3_k_m", .threads = threads});
  }
  EXPECT_EQ(content(work.path() / "1"), content(work.path() / "3"));
}

TEST(QuantizeGguf, ValuesAreNearThoseOfTheInput) {
  const TemporaryFolder work;
  const fs::path input = write_model(work.path());
  quantize_gguf({.input = input, .output = work.path() / "out.gguf", .recipe = "q8_0"});
  const Gguf in(input);
  const Gguf out(work.path() / "out.gguf");
  for (const Tensor& tensor : out.tensors()) {
    std::vector<float> values(tensor.values());
    dequantize_row(tensor.dtype, tensor.bytes, values);
    std::vector<float> expected(tensor.values());
    std::memcpy(expected.data(), in.find(tensor.name)->bytes.data(), expected.size() * sizeof(float));
    // q8_0: half a step of 1/127 of a block's peak, which is below 0.1 here.
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], 0.1 / 127 / 2 * 1.1);
  }
}

TEST(QuantizeGguf, WhatHasItsTypeIsCopied) {
  const TemporaryFolder work;
  const fs::path input = write_model(work.path());
  quantize_gguf({.input = input, .output = work.path() / "out.gguf", .recipe = "f32"});
  const Gguf in(input);
  const Gguf out(work.path() / "out.gguf");
  for (const Tensor& tensor : out.tensors()) {
    EXPECT_TRUE(std::ranges::equal(tensor.bytes, in.find(tensor.name)->bytes)) << tensor.name;
  }
}

// A mistake in the options shows before a large file is looked at.
TEST(QuantizeGguf, AnUnknownTypeIsToldBeforeTheFileIsRead) {
  const TemporaryFolder work;
  try {
    quantize_gguf({.input = work.path() / "none.gguf", .output = work.path() / "out.gguf", .recipe = "q9"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("q9"), std::string::npos) << error.what();
  }
}

TEST(QuantizeGguf, RefusesWhatIsNotFiniteAndLeavesNothing) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const TemporaryFolder work;
    const fs::path input = write_model(work.path(), bad);
    try {
      quantize_gguf({.input = input, .output = work.path() / "out.gguf", .recipe = "q4_0"});
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFile);
      EXPECT_NE(std::string(error.what()).find("blk.0.ffn_down.weight"), std::string::npos) << error.what();
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(work.path()), {}), 1);
  }
}

TEST(QuantizeGguf, DoesNotWriteOverItsInput) {
  const TemporaryFolder work;
  const fs::path input = write_model(work.path());
  const std::string before = content(input);
  EXPECT_THROW(quantize_gguf({.input = input, .output = input, .recipe = "q4_0"}), Error);
  EXPECT_EQ(content(input), before);
}

TEST(QuantizeGguf, MistakesAreExplained) {
  for (const char* rule : {"", "ple", "=q4_0", "ple=", "ple=q9", "nonsense=q4_0", "ple=iq1_s"}) {
    EXPECT_THROW(parse_rule(rule), Error) << rule;
  }
  EXPECT_THROW(Recipe("q4_z", 1, {}, false), Error);
}

TEST(Importance, WhatIsSavedIsLoaded) {
  const TemporaryFolder work;
  Importance importance;
  importance["blk.0.ffn_down_exps.weight"] = {{4, 8, 1, 0, 0, 0}, {2, 1, 0}};
  importance.save(work.path() / "imatrix.gguf", "text", 1, 512);
  const Importance loaded = Importance::load(work.path() / "imatrix.gguf");
  EXPECT_EQ(loaded.mean_squares("blk.0.ffn_down_exps.weight", 0, 2), (std::vector<float>{2, 4}));
  EXPECT_FLOAT_EQ(loaded.mean_squares("blk.0.ffn_down_exps.weight", 1, 2)[0], 1);
  EXPECT_GT(loaded.mean_squares("blk.0.ffn_down_exps.weight", 1, 2)[1], 0);
  EXPECT_TRUE(loaded.mean_squares("blk.0.ffn_down_exps.weight", 2, 2).empty()) << "no token went there";
  EXPECT_TRUE(loaded.mean_squares("blk.0.ffn_down_exps.weight", 0, 3).empty()) << "another size";
  EXPECT_TRUE(loaded.mean_squares("other", 0, 2).empty());
}

}  // namespace
}  // namespace carat
