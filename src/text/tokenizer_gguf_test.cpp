#include "text/tokenizer_gguf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/golden.h"
#include "base/json.h"
#include "checkpoint/gguf_writer.h"
#include "text/load_tokenizer.h"
#include "text/tiny_vocab.h"

namespace carat {
namespace {

// A file that goes with the object.
class TemporaryFile {
 public:
  TemporaryFile()
      : path_(std::filesystem::path(testing::TempDir()) /
              str("carat-", ::getpid(), "-", testing::UnitTest::GetInstance()->current_test_info()->name(), ".gguf")) {}
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// What a GGUF file says about its tokenizer; an empty list is left out.
struct Metadata {
  std::string model = "gemma4";
  std::vector<std::string> tokens, merges;
  std::vector<std::int32_t> types;
  std::vector<float> scores;
  std::optional<std::uint32_t> bos = 2;
  std::optional<bool> add_bos, add_space_prefix;
};

void write(const std::filesystem::path& path, const Metadata& metadata) {
  GgufWriter writer(path);
  const std::span<const std::string> tokens(metadata.tokens);
  const std::span<const std::string> merges(metadata.merges);
  if (!metadata.model.empty()) writer.add("tokenizer.ggml.model", metadata.model);
  if (!tokens.empty()) writer.add_array("tokenizer.ggml.tokens", tokens);
  if (!merges.empty()) writer.add_array("tokenizer.ggml.merges", merges);
  if (!metadata.types.empty()) writer.add_array("tokenizer.ggml.token_type", metadata.types);
  if (!metadata.scores.empty()) writer.add_array("tokenizer.ggml.scores", metadata.scores);
  if (metadata.bos) writer.add("tokenizer.ggml.bos_token_id", *metadata.bos);
  writer.add("tokenizer.ggml.eos_token_id", std::uint32_t{1});
  if (metadata.add_bos) writer.add("tokenizer.ggml.add_bos_token", *metadata.add_bos);
  if (metadata.add_space_prefix) writer.add("tokenizer.ggml.add_space_prefix", *metadata.add_space_prefix);
  writer.finish();
}

Metadata tiny_metadata() {
  Metadata metadata;
  for (const Token& token : tiny::source({"a", "b", "ab", "▁", "▁a"}).tokens) {
    metadata.tokens.push_back(token.piece);
    metadata.types.push_back(static_cast<std::int32_t>(token.type));
  }
  metadata.merges = {"a b", "▁ a"};
  return metadata;
}

Tokenizer written_and_read(const Metadata& metadata) {
  const TemporaryFile file;
  write(file.path(), metadata);
  return load_tokenizer(file.path());
}

void expect_refusal(ErrorKind kind, std::string_view message, const std::function<void(Metadata&)>& change) {
  Metadata metadata = tiny_metadata();
  change(metadata);
  try {
    written_and_read(metadata);
    ADD_FAILURE() << "accepted, expected: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(message), std::string_view::npos) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(".gguf: "), std::string_view::npos) << error.what();
  }
}

TEST(TokenizerGguf, ReadsMerges) {
  const Tokenizer tokenizer = written_and_read(tiny_metadata());
  EXPECT_EQ(tokenizer.encode("ab a"), (std::vector<std::int32_t>{262, 264}));
  EXPECT_EQ(tokenizer.encode(" ab"), (std::vector<std::int32_t>{263, 262}));
  EXPECT_EQ(tokenizer.encode("<bos>"), std::vector<std::int32_t>{2});
  EXPECT_TRUE(tokenizer.vocab().add_bos()) << "the default";
  EXPECT_EQ(tokenizer.vocab().eos(), 1);
}

TEST(TokenizerGguf, ReadsScores) {
  Metadata metadata = tiny_metadata();
  metadata.model = "llama";
  metadata.merges = {};
  metadata.scores.assign(metadata.tokens.size(), 0);
  metadata.scores[262] = -2;  // ab
  metadata.scores[264] = -1;  // ▁a
  metadata.add_bos = false;
  metadata.add_space_prefix = false;
  const Tokenizer tokenizer = written_and_read(metadata);
  EXPECT_EQ(tokenizer.encode(" ab"), (std::vector<std::int32_t>{264, 261}));
  EXPECT_FALSE(tokenizer.vocab().add_bos());
}

TEST(TokenizerGguf, SpacesOfUserDefinedTokensStandForU2581) {
  Metadata metadata = tiny_metadata();
  metadata.tokens.emplace_back("  ");
  metadata.types.push_back(static_cast<std::int32_t>(TokenType::kUserDefined));
  const Tokenizer tokenizer = written_and_read(metadata);
  EXPECT_EQ(tokenizer.encode("▁▁a"), (std::vector<std::int32_t>{265, 260})) << "found before merging";
  EXPECT_EQ(tokenizer.encode("  a"), (std::vector<std::int32_t>{263, 264})) << "no merge makes it here";
  EXPECT_EQ(tokenizer.decode(std::vector{265}), "  ");
}

TEST(TokenizerGguf, MarkersOfGemma4AreSpecialWhateverTheFileSays) {
  Metadata metadata = tiny_metadata();
  metadata.tokens.insert(metadata.tokens.end(), {"<|channel>", "<other>"});
  metadata.types.insert(metadata.types.end(), 2, static_cast<std::int32_t>(TokenType::kUserDefined));
  const Tokenizer tokenizer = written_and_read(metadata);
  EXPECT_TRUE(tokenizer.vocab().is_special(265));
  EXPECT_FALSE(tokenizer.vocab().is_special(266));
}

TEST(TokenizerGguf, MergesGoBeforeScores) {
  Metadata metadata = tiny_metadata();
  metadata.model = "llama";
  metadata.scores.assign(metadata.tokens.size(), -1000);
  EXPECT_EQ(written_and_read(metadata).encode(" ab"), (std::vector<std::int32_t>{263, 262}));
}

TEST(TokenizerGguf, RefusesWhatContradictsItself) {
  constexpr ErrorKind kBad = ErrorKind::kBadFile;
  expect_refusal(kBad, "tokenizer.ggml.model is missing", [](Metadata& m) { m.model = ""; });
  expect_refusal(kBad, "tokenizer.ggml.tokens is missing", [](Metadata& m) { m.tokens.clear(); });
  expect_refusal(kBad, "tokenizer.ggml.token_type is missing", [](Metadata& m) { m.types.clear(); });
  expect_refusal(kBad, "tokenizer.ggml.merges is missing", [](Metadata& m) { m.merges.clear(); });
  expect_refusal(kBad, "token_type has 264 entries", [](Metadata& m) { m.types.pop_back(); });
  expect_refusal(kBad, "has 7 for token 261", [](Metadata& m) { m.types[261] = 7; });
  expect_refusal(kBad, "has 0 for token 261", [](Metadata& m) { m.types[261] = 0; });
  expect_refusal(kBad, "merge 1 needs \"bb\"", [](Metadata& m) { m.merges[1] = "b b"; });
  expect_refusal(kBad, "the id of bos is 265", [](Metadata& m) { m.bos = 265; });
  expect_refusal(kBad, "repeats token 260", [](Metadata& m) { m.tokens[261] = "a"; });
  const auto scored = [](std::size_t size, float score) {
    return [size, score](Metadata& m) {
      m.model = "llama";
      m.merges.clear();
      m.scores.assign(size, score);
    };
  };
  expect_refusal(kBad, "tokenizer.ggml.scores is missing", scored(0, 0));
  expect_refusal(kBad, "scores has 5 entries", scored(5, 0));
  expect_refusal(kBad, "no number", scored(265, std::nanf("")));
  expect_refusal(ErrorKind::kUnsupported, "is \"gpt2\"", [](Metadata& m) { m.model = "gpt2"; });
  expect_refusal(ErrorKind::kUnsupported, "add_space_prefix", [](Metadata& m) { m.add_space_prefix = true; });
}

// Gemma 4's vocabulary as llama.cpp's conversion writes it gives the same ids as its tokenizer.json.
TEST(TokenizerGguf, ReadsGemma4) {
  const json::value document = parse_json_file(CARAT_GEMMA4_TOKENIZER);
  const json::object& model = document.at("model").as_object();
  Metadata metadata;
  metadata.tokens.resize(model.at("vocab").as_object().size());
  metadata.types.assign(metadata.tokens.size(), 1);
  for (const auto& [piece, id] : model.at("vocab").as_object()) {
    metadata.tokens[static_cast<std::size_t>(id.as_int64())] = piece;
  }
  for (const json::value& merge : model.at("merges").as_array()) {
    metadata.merges.push_back(
        str(std::string_view(merge.at(0).as_string()), " ", std::string_view(merge.at(1).as_string())));
  }
  const json::value specials = parse_json_file(CARAT_TEST_DATA "/golden/tokenizer/specials.json");
  for (const json::value& token : specials.as_array()) {
    const auto id = static_cast<std::size_t>(token.at("id").as_int64());
    metadata.types[id] = static_cast<std::int32_t>(token.at("gguf_type").as_int64());
  }
  const Tokenizer tokenizer = written_and_read(metadata);
  EXPECT_EQ(tokenizer.vocab().ends(), (std::vector<std::int32_t>{1, 50, 106}));

  std::ifstream in(CARAT_TEST_DATA "/golden/tokenizer/text.jsonl");
  std::size_t count = 0;
  for (std::string line; std::getline(in, line); ++count) {
    const json::value object = parse_json(line, "text.jsonl", ErrorKind::kBadFile);
    const std::string text(object.at("text").as_string());
    const auto ids = json::value_to<std::vector<std::int32_t>>(object.at("ids"));
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    const json::value* answer = object.as_object().if_contains("skip_special");
    EXPECT_EQ(tokenizer.decode(ids, true), answer == nullptr ? text : std::string(answer->as_string()));
  }
  EXPECT_EQ(count, 1620U);
}

// The real file, which is not in the tree: CARAT_GEMMA3_GGUF names it.
class Gemma3Gguf : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("CARAT_GEMMA3_GGUF");
    if (path == nullptr) GTEST_SKIP() << "set CARAT_GEMMA3_GGUF to gemma-3-270m-q4_k_m.gguf (golden/gemma3-270m)";
    tokenizer_ = std::make_unique<Tokenizer>(load_tokenizer(path));
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(Gemma3Gguf, PromptsAndPassageHaveTheReferencesIds) {
  const std::string folder = CARAT_TEST_DATA "/golden/gemma3-270m/";
  const golden::Tensors expected = golden::load(folder + "expected.safetensors");
  const json::value prompts = parse_json_file(folder + "prompts.json");
  for (const json::value& prompt : prompts.as_array()) {
    const std::int64_t number = prompt.at("number").as_int64();
    EXPECT_EQ(tokenizer_->encode(std::string_view(prompt.at("text").as_string()), {.add_bos = true}),
              expected.ints(str(number, ".input_ids")));
    EXPECT_EQ(tokenizer_->decode(expected.ints(str(number, ".greedy_ids"))),
              std::string_view(prompt.at("greedy_text").as_string()));
  }
  EXPECT_EQ(tokenizer_->encode(read_text_file(folder + "passage.txt", 1 << 20), {.add_bos = true}),
            expected.ints("passage.input_ids"));
}

// gemma3_ids.jsonl: the ids that Hugging Face tokenizers 0.23 give with Gemma 3's tokenizer.json, line by line for the
// texts of text.jsonl.
TEST_F(Gemma3Gguf, TextsHaveTheReferencesIds) {
  std::ifstream texts(CARAT_TEST_DATA "/golden/tokenizer/text.jsonl");
  std::ifstream expected(CARAT_TEST_DATA "/golden/tokenizer/gemma3_ids.jsonl");
  std::size_t count = 0;
  for (std::string line, ids; std::getline(texts, line) && std::getline(expected, ids); ++count) {
    const json::value object = parse_json(line, "text.jsonl", ErrorKind::kBadFile);
    const std::string text(object.at("text").as_string());
    EXPECT_EQ(tokenizer_->encode(text),
              json::value_to<std::vector<std::int32_t>>(parse_json(ids, "gemma3_ids.jsonl", ErrorKind::kBadFile)))
        << text;
  }
  EXPECT_EQ(count, 1620U);
}

TEST_F(Gemma3Gguf, KnowsItsSpecialTokens) {
  const Vocab& vocab = tokenizer_->vocab();
  EXPECT_EQ(vocab.bos(), 2);
  EXPECT_TRUE(vocab.add_bos());
  EXPECT_EQ(vocab.ends(), (std::vector<std::int32_t>{1, 106}));
}

}  // namespace
}  // namespace carat
