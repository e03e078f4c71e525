#include "text/tokenizer_json.h"

#include <gtest/gtest.h>

#include <functional>

#include "text/tiny_vocab.h"

namespace carat {
namespace {

// A complete file: the tokens of tiny::source and "a", "b", "ab", "▁"; "<x>", an added token outside the model.
json::object tiny_document() {
  json::object document = json::parse(R"({
      "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
      "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                        "invert": false},
      "post_processor": null,
      "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                                   {"type": "ByteFallback"}, {"type": "Fuse"}]},
      "added_tokens": [{"id": 2, "content": "<bos>", "special": true, "normalized": false},
                       {"id": 264, "content": "<x>", "special": false}],
      "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "byte_fallback": true, "ignore_merges": false,
                "merges": [["a", "b"]]}})")
                              .as_object();
  json::object vocab;
  std::int64_t id = 0;
  for (const Token& token : tiny::source({"a", "b", "ab", "▁"}).tokens) vocab[token.piece] = id++;
  document["model"].as_object()["vocab"] = vocab;
  return document;
}

// The message that a changed file is refused with.
std::string refusal(ErrorKind kind, const std::function<void(json::object& root, json::object& model)>& change) {
  json::object document = tiny_document();
  change(document, document["model"].as_object());
  try {
    tokenizer_from_json(document, "t.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(std::string_view(error.what()).substr(0, 6), "t.json") << error.what();
    return error.what();
  }
  return "accepted";
}

void expect_refusal(ErrorKind kind, std::string_view message,
                    const std::function<void(json::object& root, json::object& model)>& change) {
  const std::string found = refusal(kind, change);
  EXPECT_NE(found.find(message), std::string::npos) << found << "\nexpected: " << message;
}

TEST(TokenizerJson, ReadsATinyFile) {
  const Tokenizer tokenizer = tokenizer_from_json(tiny_document(), "t.json");
  EXPECT_EQ(tokenizer.vocab().size(), 265U);
  EXPECT_EQ(tokenizer.vocab().bos(), tiny::kBos);
  EXPECT_EQ(tokenizer.encode("ab a<x>"), (std::vector<std::int32_t>{262, 263, 260, 264}));
  EXPECT_EQ(tokenizer.encode("<bos>")[0], tiny::kBos);
  EXPECT_FALSE(tokenizer.vocab().is_special(264));
  EXPECT_TRUE(tokenizer.vocab().is_special(tiny::kBos));
}

TEST(TokenizerJson, ReadsBothFormsOfMerges) {
  json::object document = tiny_document();
  document["model"].as_object()["merges"] = json::array{"a b"};
  EXPECT_EQ(tokenizer_from_json(document, "t.json").encode("ab"), std::vector<std::int32_t>{262});
}

TEST(TokenizerJson, TakesGemma3sPostProcessorAndNoPreTokenizer) {
  json::object document = tiny_document();
  document["pre_tokenizer"] = nullptr;
  document["post_processor"] = json::parse(R"({"type": "TemplateProcessing", "single": [
      {"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": []})");
  EXPECT_NO_THROW(tokenizer_from_json(document, "t.json"));
}

TEST(TokenizerJson, RefusesStepsThatGemmaDoesNotHave) {
  constexpr ErrorKind kKind = ErrorKind::kUnsupported;
  expect_refusal(kKind, "\"normalizer\" is missing", [](auto& root, auto&) { root.erase("normalizer"); });
  expect_refusal(kKind, "\"normalizer\" is {\"type\":\"NFC\"}", [](auto& root, auto&) {
    root["normalizer"] = {{"type", "NFC"}};
  });
  expect_refusal(kKind, "\"pre_tokenizer\" is 3", [](auto& root, auto&) { root["pre_tokenizer"] = 3; });
  expect_refusal(kKind, "\"decoder\" is", [](auto& root, auto&) { root["decoder"] = {{"type", "ByteLevel"}}; });
  expect_refusal(kKind, "post_processor: \"type\" is \"ByteLevel\"", [](auto& root, auto&) {
    root["post_processor"] = {{"type", "ByteLevel"}};
  });
  expect_refusal(kKind, "\"post_processor.single\" is missing", [](auto& root, auto&) {
    root["post_processor"] = {{"type", "TemplateProcessing"}};
  });
  expect_refusal(kKind, "\"type\" is \"WordPiece\"", [](auto&, auto& model) { model["type"] = "WordPiece"; });
  expect_refusal(kKind, "\"dropout\"", [](auto&, auto& model) { model["dropout"] = 0.1; });
  expect_refusal(kKind, "\"byte_fallback\" is false", [](auto&, auto& model) { model.erase("byte_fallback"); });
  expect_refusal(kKind, "\"ignore_merges\" is true", [](auto&, auto& model) { model["ignore_merges"] = true; });
  expect_refusal(kKind, "\"end_of_word_suffix\"", [](auto&, auto& model) { model["end_of_word_suffix"] = "</w>"; });
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) {
    expect_refusal(kKind, str("added_tokens[1]: \"", flag, "\" is true"),
                   [flag](auto& root, auto&) { root["added_tokens"].as_array()[1].as_object()[flag] = true; });
  }
  expect_refusal(kKind, "no token for byte 255", [](auto&, auto& model) {
    model["vocab"].as_object().erase("<0xFF>");
    model["vocab"].as_object()["z"] = 259;
  });
}

TEST(TokenizerJson, RefusesFieldsOfTheWrongType) {
  constexpr ErrorKind kKind = ErrorKind::kBadFile;
  EXPECT_THROW(tokenizer_from_json(json::array{}, "t.json"), Error);
  EXPECT_THROW(tokenizer_from_json(nullptr, "t.json"), Error);
  expect_refusal(kKind, "\"model\" is missing", [](auto& root, auto&) { root.erase("model"); });
  expect_refusal(kKind, "\"model\" is array", [](auto& root, auto&) { root["model"] = json::array{}; });
  expect_refusal(kKind, "\"vocab\" is missing", [](auto&, auto& model) { model.erase("vocab"); });
  expect_refusal(kKind, "\"merges\" is missing", [](auto&, auto& model) { model["merges"] = nullptr; });
  expect_refusal(kKind, "\"merges\" is object", [](auto&, auto& model) { model["merges"] = json::object{}; });
  expect_refusal(kKind, "\"type\" is missing", [](auto&, auto& model) { model.erase("type"); });
  expect_refusal(kKind, "\"added_tokens\" is int64", [](auto& root, auto&) { root["added_tokens"] = 1; });
  expect_refusal(kKind, "added_tokens[0]", [](auto& root, auto&) { root["added_tokens"] = json::array{"<bos>"}; });
  expect_refusal(kKind, "added_tokens[0]: \"id\" is missing",
                 [](auto& root, auto&) { root["added_tokens"].as_array()[0].as_object().erase("id"); });
  expect_refusal(kKind, "added_tokens[0]: \"content\" is int64",
                 [](auto& root, auto&) { root["added_tokens"].as_array()[0].as_object()["content"] = 5; });
  expect_refusal(kKind, "the id of \"a\" is no integer",
                 [](auto&, auto& model) { model["vocab"].as_object()["a"] = "260"; });
}

TEST(TokenizerJson, RefusesIdsThatAreNotDense) {
  constexpr ErrorKind kKind = ErrorKind::kBadFile;
  expect_refusal(kKind, "token \"a\" has id 265, expected 0 to 264",
                 [](auto&, auto& model) { model["vocab"].as_object()["a"] = 265; });
  expect_refusal(kKind, "has id -1", [](auto&, auto& model) { model["vocab"].as_object()["a"] = -1; });
  expect_refusal(kKind, "is no integer", [](auto&, auto& model) { model["vocab"].as_object()["a"] = 1e300; });
  expect_refusal(kKind, "have the same id 261", [](auto&, auto& model) { model["vocab"].as_object()["a"] = 261; });
  expect_refusal(kKind, "\"<bos>\" and \"<other>\" have the same id 2",
                 [](auto& root, auto&) { root["added_tokens"].as_array()[0].as_object()["content"] = "<other>"; });
  expect_refusal(kKind, "has 0 bytes", [](auto&, auto& model) {
    model["vocab"].as_object().erase("a");
    model["vocab"].as_object()[""] = 260;
  });
  expect_refusal(kKind, "has 0 bytes",
                 [](auto& root, auto&) { root["added_tokens"].as_array()[1].as_object()["content"] = ""; });
}

TEST(TokenizerJson, RefusesMergesThatAreNone) {
  const auto set = [](const json::array& merges) {
    return [merges](auto&, json::object& model) { model["merges"] = merges; };
  };
  constexpr ErrorKind kKind = ErrorKind::kBadFile;
  expect_refusal(kKind, "merge 1 needs \"z\"", set({"a b", "a z"}));
  expect_refusal(kKind, "merge 0 needs \"ba\"", set({"b a"}));
  expect_refusal(kKind, "merge 0 is \"ab\"", set({"ab"}));
  expect_refusal(kKind, "entry 1 is [\"a\"]", set({"a b", json::array{"a"}}));
  expect_refusal(kKind, "entry 0 is 7", set({7}));
  expect_refusal(kKind, "is listed twice", set({"a b", "a b"}));
}

TEST(TokenizerJson, SaysWhichFileIsNoJson) {
  try {
    load_tokenizer_json(CARAT_TEST_DATA "/golden/tokenizer/text.jsonl");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadFile);
    EXPECT_NE(std::string_view(error.what()).find("text.jsonl"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace carat
