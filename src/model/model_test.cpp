#include "model/model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "model/tiny_gguf.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

fs::path golden_case(const std::string& name) {
  return fs::path(CARAT_TEST_DATA) / "golden" / name;
}

// A folder of its own that goes with the test.
class ModelTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("carat_model_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  // The message of the Error that loading path throws; empty where it loads.
  static std::string refusal(const fs::path& path) {
    try {
      Model::load(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  // A folder with the weights of text-e2b and its config.json after one replacement.
  fs::path with_config(std::string_view from, std::string_view to) const {
    const fs::path model = golden_case("text-e2b") / "model";
    std::string text = read_text_file(model / "config.json", 1 << 20);
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    write("config.json", text);
    fs::copy_file(model / "model.safetensors", folder_ / "model.safetensors", fs::copy_options::overwrite_existing);
    return folder_;
  }

  fs::path folder_;
};

void expect_same(const DecoderConfig& a, const DecoderConfig& b) {
  EXPECT_EQ(a.vocab, b.vocab);
  EXPECT_EQ(a.hidden, b.hidden);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.window, b.window);
  EXPECT_EQ(a.context_length, b.context_length);
  EXPECT_EQ(a.ple_dim, b.ple_dim);
  EXPECT_EQ(a.moe.experts, b.moe.experts);
  EXPECT_EQ(a.moe.used, b.moe.used);
  EXPECT_EQ(a.moe.intermediate, b.moe.intermediate);
  EXPECT_EQ(a.rms_eps, b.rms_eps);
  EXPECT_EQ(a.attention_scale, b.attention_scale);
  EXPECT_EQ(a.final_logit_cap, b.final_logit_cap);
  EXPECT_EQ(a.has_value_norm, b.has_value_norm);
  EXPECT_EQ(a.image_attention, b.image_attention);
  EXPECT_EQ(a.rope_sliding, b.rope_sliding);
  EXPECT_EQ(a.rope_global, b.rope_global);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    EXPECT_EQ(a.layers[i].is_sliding, b.layers[i].is_sliding) << i;
    EXPECT_EQ(a.layers[i].head_dim, b.layers[i].head_dim) << i;
    EXPECT_EQ(a.layers[i].kv_heads, b.layers[i].kv_heads) << i;
    EXPECT_EQ(a.layers[i].is_k_eq_v, b.layers[i].is_k_eq_v) << i;
    EXPECT_EQ(a.layers[i].kv_source, b.layers[i].kv_source) << i;
    EXPECT_EQ(a.layers[i].intermediate, b.layers[i].intermediate) << i;
  }
}

TEST_F(ModelTest, GgufAndFolderDescribeTheSameModel) {
  for (const char* name : {"text-dense", "text-e2b", "text-e4b", "text-moe"}) {
    SCOPED_TRACE(name);
    const fs::path folder = golden_case(name) / "model";
    const fs::path file = folder_ / "tiny.gguf";
    write_tiny_gguf(folder, file);
    const auto from_gguf = Model::load(file);
    const auto from_folder = Model::load(folder);
    DecoderConfig expected = from_folder->config().decoder;
    expect_same(from_gguf->config().decoder, expected);
  }
}

TEST_F(ModelTest, BothFormsOfConfigJsonMeanTheSame) {
  for (const char* name : {"text-dense", "text-e2b", "text-e4b", "text-moe"}) {
    SCOPED_TRACE(name);
    expect_same(config_from_hugging_face(golden_case(name) / "config.per_layer_config.json").decoder,
                config_from_hugging_face(golden_case(name) / "model" / "config.json").decoder);
  }
}

TEST_F(ModelTest, SaysWhatIsWrongWithAConfiguration) {
  struct Row {
    const char* from;
    const char* to;
    const char* expected;  // in the message
  };
  const Row rows[] = {
      {"\"model_type\": \"gemma4\"", "\"model_type\": \"llama\"", "model_type \"llama\" is not supported"},
      {"\"hidden_size\": 48", "\"hidden_size\": 47", "embed_tokens.weight has shape [512, 48], expected [512, 47]"},
      {"\"hidden_size\": 48", "\"hidden_size\": 0", "hidden_size is 0, expected 1 to"},
      {"\"hidden_size\": 48", "\"hidden_size\": -48", "hidden_size is -48"},
      {"\"hidden_size\": 48", "\"hidden_size\": \"48\"", "\"hidden_size\" is string, expected an integer"},
      {"\"hidden_size\": 48", "\"hidden_size\": 99999999999999999999", "hidden_size"},
      {"\"num_hidden_layers\": 10", "\"num_hidden_layers\": 9", "\"layer_types\" has 10 entries"},
      {"\"num_hidden_layers\": 10", "\"num_hidden_layers\": 100000000", "num_hidden_layers is 100000000"},
      {"\"num_attention_heads\": 4", "\"num_attention_heads\": 3",
       "q_proj.weight has shape [64, 48], expected [48, 48]"},
      {"\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3", "4 heads and 3 key/value heads"},
      {"\"num_key_value_heads\": 1", "\"num_key_value_heads\": 0", "num_key_value_heads is 0, expected 1 to"},
      {"\"head_dim\": 16", "\"head_dim\": 24", "head_dim 24, expected a multiple of 16"},
      {"\"num_kv_shared_layers\": 4", "\"num_kv_shared_layers\": 10", "10 of 10 layers share"},
      {"\"num_kv_shared_layers\": 4", "\"num_kv_shared_layers\": 6", "shares the keys of a global layer before it"},
      {"\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": -1", "rms_norm_eps"},
      {"\"rope_type\": \"proportional\"", "\"rope_type\": \"yarn\"", "rope_type \"yarn\" is not known"},
      {"\"sliding_attention\",", "\"linear_attention\",", "entry 0 is neither"},
      {"\"use_bidirectional_attention\": null", "\"use_bidirectional_attention\": \"all\"", "\"all\" is not supported"},
      {"\"hidden_size_per_layer_input\": 8", "\"hidden_size_per_layer_input\": 16", "expected [512, 160]"},
      {"{", "[", "not valid JSON"},
  };
  for (const Row& row : rows) {
    const std::string message = refusal(with_config(row.from, row.to));
    EXPECT_NE(message.find(row.expected), std::string::npos) << row.to << " gave: " << message;
  }
}

TEST_F(ModelTest, SaysWhatIsMissing) {
  EXPECT_NE(refusal(folder_ / "none.gguf").find("no such file"), std::string::npos);
  EXPECT_NE(refusal(folder_).find("config.json"), std::string::npos);
  const auto model = Model::load(golden_case("text-e2b") / "model");
  EXPECT_FALSE(model->has_tokenizer());
  EXPECT_THROW(model->tokenizer(), Error);
}

// Damages a file in seeded ways; loading either succeeds or throws an Error. The sanitizers watch.
TEST_F(ModelTest, DamagedFilesAreReadOrRefused) {
  constexpr int kMutants = 20'000;
  const fs::path tiny = folder_ / "tiny.gguf";
  write_tiny_gguf(golden_case("text-e2b") / "model", tiny);
  const std::string gguf = read_text_file(tiny, 1 << 24);
  const std::string config = read_text_file(golden_case("text-e2b") / "model" / "config.json", 1 << 20);
  // Damage the header (metadata and tensor descriptions); the weights themselves may hold anything.
  const std::size_t header = std::min<std::size_t>(gguf.size(), 16 << 10);
  write("model.safetensors", read_text_file(golden_case("text-e2b") / "model" / "model.safetensors", 1 << 24));

  std::mt19937_64 random(11);
  const auto damage = [&](std::string& bytes, std::size_t within) {
    for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % within;
      const std::size_t kind = random() % 3;
      if (kind == 0) {
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      } else if (kind == 1) {
        bytes[at] = static_cast<char>("0123456789-.e{}[]\",\xff"[random() % 20]);
      } else {
        const std::uint64_t value = std::uint64_t{1} << random() % 64;
        std::memcpy(bytes.data() + at, &value, std::min<std::size_t>(8, bytes.size() - at));
      }
    }
  };
  int loaded = 0;
  for (int i = 0; i < kMutants; ++i) {
    // Configurations are text: most damage to it is bad JSON, so that fewer of them do.
    const bool is_config = i % 4 == 0;
    std::string bytes = is_config ? config : gguf;
    damage(bytes, is_config ? bytes.size() : header);
    if (is_config) {
      write("config.json", bytes);
    } else {
      write("mutant.gguf", bytes);
    }
    loaded += refusal(is_config ? folder_ : folder_ / "mutant.gguf").empty() ? 1 : 0;
  }
  EXPECT_GT(loaded, 0) << "some damage is harmless";
  EXPECT_LT(loaded, kMutants);
}

}  // namespace
}  // namespace carat
