#include "engine/model_info.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/tiny_engine.h"
#include "model/tiny_gguf.h"

namespace carat {
namespace {

TEST(ModelInfo, IsWhatTheFilesSay) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "model_info.gguf";
  write_tiny_gguf(tiny_folder("text-e2b") / "model", file);
  const auto model = Model::load(file);
  const ModelInfo info = info_of(*model);
  EXPECT_EQ(info.name, "tiny");
  EXPECT_EQ(info.architecture, "gemma4");
  EXPECT_EQ(info.license, "apache-2.0");
  EXPECT_EQ(info.context, 0U);
  EXPECT_EQ(info.vocab, model->config().decoder.vocab);
  EXPECT_EQ(info.trained_context, model->config().decoder.context_length);
  EXPECT_GT(info.parameters, info.vocab * info.embedding_size);
  EXPECT_EQ(info.weight_type, "bf16");
  EXPECT_FALSE(info.has_template || info.sees_images || info.hears_audio);
}

TEST(ModelInfo, TowersCount) {
  EXPECT_TRUE(info_of(*tiny_model("vision-e")).sees_images);
}

}  // namespace
}  // namespace carat
