// Golden models converted and loaded again: the same logits, bit for bit.
#include "convert/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>

#include "audio/audio_encoder.h"
#include "base/json.h"
#include "base/rgb_image.h"
#include "checkpoint/test_files.h"
#include "engine/compute_context.h"
#include "engine/session.h"
#include "model/assistant.h"
#include "vision/image_encoder.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(CARAT_TEST_DATA) / "golden";

// Logits of every one of some tokens, with exact activations.
std::vector<float> all_logits(const fs::path& path) {
  const auto model = Model::load(path);
  Session session(model, {.threads = 1, .activations = ActivationType::kF32}, {.context = 64, .kv_type = DType::kF32});
  std::vector<std::int32_t> tokens(48);
  std::iota(tokens.begin(), tokens.end(), 3);
  std::vector<float> all;
  session.append_all_logits(tokens, [&](std::size_t, MatView<const float> logits) {
    for (std::size_t row = 0; row < logits.rows(); ++row) {
      all.insert(all.end(), logits.row(row).begin(), logits.row(row).end());
    }
  });
  return all;
}

void expect_same_logits(const fs::path& folder, const fs::path& gguf) {
  const std::vector<float> expected = all_logits(folder);
  const std::vector<float> found = all_logits(gguf);
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size() * sizeof(float)), 0);
}

class ConvertGolden : public testing::TestWithParam<const char*> {};

TEST_P(ConvertGolden, LogitsAreTheSame) {
  const TemporaryFolder work;
  const fs::path folder = kGolden / GetParam() / "model";
  convert_to_gguf({.folder = folder, .output = work.path() / "model.gguf"});
  expect_same_logits(folder, work.path() / "model.gguf");
  EXPECT_FALSE(Model::load(work.path() / "model.gguf")->has_tokenizer()) << "as the folder";
}

TEST_P(ConvertGolden, F32KeepsTheLogitsToo) {
  const TemporaryFolder work;
  const fs::path folder = kGolden / GetParam() / "model";
  convert_to_gguf({.folder = folder, .output = work.path() / "model.gguf", .matrix_type = DType::kF32});
  expect_same_logits(folder, work.path() / "model.gguf");
}

TEST_P(ConvertGolden, NewerConfigurationSaysTheSame) {
  const TemporaryFolder work;
  const fs::path folder = kGolden / GetParam();
  fs::copy(folder / "model" / "model.safetensors", work.path() / "model.safetensors");
  fs::copy(folder / "config.per_layer_config.json", work.path() / "config.json");
  convert_to_gguf({.folder = work.path(), .output = work.path() / "model.gguf"});
  expect_same_logits(folder / "model", work.path() / "model.gguf");
}

INSTANTIATE_TEST_SUITE_P(All, ConvertGolden, testing::Values("text-dense", "text-e2b", "text-e4b", "text-moe"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
                           return name;
                         });

// The golden E model with the one setting that a GGUF has no key for as in the published models.
void copy_folder_with_towers(const fs::path& folder) {
  const fs::path source = kGolden / "vision-e" / "model";
  fs::copy(source / "model.safetensors", folder / "model.safetensors");
  json::value config = parse_json_file(source / "config.json");
  config.as_object().at("audio_config").as_object()["attention_logit_cap"] = 50.0;
  std::ofstream(folder / "config.json") << json::serialize(config);
}

TEST(Convert, TheTowersSeeAndHearTheSame) {
  const TemporaryFolder work;
  copy_folder_with_towers(work.path());
  const fs::path gguf = work.path() / "model.gguf";
  convert_to_gguf({.folder = work.path(), .output = gguf});
  const auto expected = Model::load(work.path());
  const auto found = Model::load(gguf);
  const ComputeContext context({.threads = 1, .activations = ActivationType::kF32});

  RgbImage image{{96, 48}, std::vector<std::uint8_t>(96 * 48 * 3)};
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * 7 % 251);
  std::vector<float> sound(8000);  // silence first: there the norms tell most
  for (std::size_t i = 3000; i < sound.size(); ++i) sound[i] = std::sin(static_cast<float>(i * i % 997)) / 4;
  const auto expect_same = [](const SoftTokens& a, const SoftTokens& b) {
    ASSERT_EQ(a.count(), b.count());
    // Apart from the rounding of softplus, which the converter does in float.
    for (std::size_t i = 0; i < a.count() * a.hidden(); ++i) EXPECT_NEAR(a.rows().data()[i], b.rows().data()[i], 1e-4);
  };
  expect_same(found->require_vision().encode(context.compute(), image, MediaKind::kImage, nullptr),
              expected->require_vision().encode(context.compute(), image, MediaKind::kImage, nullptr));
  expect_same(found->require_audio().encode(context.compute(), sound, nullptr),
              expected->require_audio().encode(context.compute(), sound, nullptr));
}

// Every named intermediate, one behind the other.
class Rows final : public Trace {
 public:
  void tensor(std::string_view name, MatView<const float> rows) override {
    for (std::size_t row = 0; row < rows.rows(); ++row) {
      tensors[std::string(name)].insert(tensors[std::string(name)].end(), rows.row(row).begin(), rows.row(row).end());
    }
  }
  std::map<std::string, std::vector<float>> tensors;
};

// An assistant drafts the same from the file, bit for bit, with and without centroids.
TEST(Convert, AssistantsDraftTheSame) {
  const auto model = Model::load(kGolden / "text-e2b" / "model");
  for (const char* name : {"model-plain", "model-ordered"}) {
    const TemporaryFolder work;
    const fs::path folder = kGolden / "assistant" / name;
    convert_to_gguf({.folder = folder, .output = work.path() / "assistant.gguf"});
    Rows drafted[2];
    for (const bool is_converted : {false, true}) {
      const auto assistant = Assistant::load(is_converted ? work.path() / "assistant.gguf" : folder, *model);
      Drafter drafter(assistant->config(), assistant->weights());
      Session session(model, {.threads = 1, .activations = ActivationType::kF32},
                      {.context = 64, .kv_type = DType::kF32});
      session.append(std::vector<std::int32_t>{2, 17, 99, 311, 5, 42, 128});
      session.set_trace(&drafted[is_converted]);
      session.propose(drafter, 77, session.last_hidden().row(0), 4);
      session.set_trace(nullptr);
    }
    EXPECT_FALSE(drafted[0].tensors.empty());
    EXPECT_EQ(drafted[0].tensors, drafted[1].tensors) << name;
  }
}

// A folder with the tensors of a golden model and one more.
void write_folder_with_extra_tensor(const fs::path& folder) {
  const fs::path source = kGolden / "text-dense" / "model";
  fs::copy(source / "config.json", folder / "config.json");
  std::ifstream file(source / "model.safetensors", std::ios::binary);
  std::string data((std::istreambuf_iterator<char>(file)), {});
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, data.data(), sizeof(header_bytes));
  json::object header = json::parse(data.substr(8, header_bytes)).as_object();
  const std::size_t end = data.size() - 8 - header_bytes;
  header["model.language_model.layers.0.surprise.weight"] = {
      {"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {end, end + 4}}};
  const std::string text = json::serialize(header);
  const std::uint64_t text_bytes = text.size();
  std::ofstream out(folder / "model.safetensors", std::ios::binary);
  out.write(reinterpret_cast<const char*>(&text_bytes), sizeof(text_bytes));
  out << text << data.substr(8 + header_bytes) << std::string(4, '\0');
}

TEST(Convert, RefusesTensorsItDoesNotKnow) {
  const TemporaryFolder work;
  write_folder_with_extra_tensor(work.path());
  const fs::path out = work.path() / "model.gguf";
  try {
    convert_to_gguf({.folder = work.path(), .output = out});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("layers.0.surprise.weight"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(out));
}

TEST(Convert, StoppedItLeavesNothing) {
  const TemporaryFolder work;
  const fs::path out = work.path() / "model.gguf";
  const auto stop = [](std::uint64_t done, std::uint64_t total) {
    if (done > total / 2) throw Error(ErrorKind::kCancelled, "stopped");
  };
  EXPECT_THROW(convert_to_gguf({.folder = kGolden / "text-dense" / "model", .output = out}, stop), Error);
  EXPECT_TRUE(fs::is_empty(work.path()));
}

TEST(Convert, SaysThatAFolderHasNoTowers) {
  const TemporaryFolder work;
  EXPECT_THROW(convert_to_gguf({.folder = kGolden / "text-dense" / "model",
                                .output = work.path() / "model.gguf",
                                .projector = work.path() / "mmproj.gguf"}),
               Error);
  EXPECT_TRUE(fs::is_empty(work.path()));
}

}  // namespace
}  // namespace carat
