#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <random>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/unicode.h"
#include "text/detokenizer.h"
#include "text/load_tokenizer.h"
#include "text/tiny_vocab.h"

namespace carat {
namespace {

const Tokenizer& gemma4() {
  static const Tokenizer tokenizer = load_tokenizer(CARAT_GEMMA4_TOKENIZER);
  return tokenizer;
}

std::vector<json::object> golden(const char* file) {
  std::ifstream in(std::string(CARAT_TEST_DATA "/golden/tokenizer/") + file);
  std::vector<json::object> cases;
  for (std::string line; std::getline(in, line);) {
    cases.push_back(parse_json(line, file, ErrorKind::kBadFile).as_object());
  }
  return cases;
}

std::string text_of(const json::object& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

std::vector<std::int32_t> ids_of(const json::object& object) {
  return json::value_to<std::vector<std::int32_t>>(object.at("ids"));
}

std::string from_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(kDigits.find(c));
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xffU);
    }
  }
  return bytes;
}

std::string with_spaces(std::string_view text) {
  std::string out;
  append_with_spaces(text, out);
  return out;
}

std::string detokenized(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids, bool skip_special) {
  Detokenizer detokenizer(tokenizer.vocab(), {.skip_special = skip_special});
  std::string text;
  for (const std::int32_t id : ids) text += detokenizer.push(id);
  return text + detokenizer.flush();
}

// Pieces of text of all kinds, and with is_text false also broken characters.
std::string random_bytes(std::mt19937& random, bool is_text) {
  static constexpr std::array<std::string_view, 22> kParts{
      " ", "\n",   "\t", "the", " a", "Ärger",   "€",    "漢字",     "😀",        "\r\n",         "<|turn>",
      "<", "0x0A", ">",  "7",   ".",  "e\u0301", "\x80", "\xff\xfe", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80"};
  std::string out;
  for (std::size_t n = random() % 30; n > 0; --n) out += kParts[random() % (is_text ? 17 : kParts.size())];
  return out;
}

TEST(Gemma4Tokenizer, TextsHaveTheReferencesIds) {
  const std::vector<json::object> cases = golden("text.jsonl");
  ASSERT_EQ(cases.size(), 1620U);
  for (const json::object& object : cases) {
    const std::string text = text_of(object, "text");
    EXPECT_EQ(gemma4().encode(text), ids_of(object)) << text;
  }
}

TEST(Gemma4Tokenizer, IdsHaveTheReferencesText) {
  for (const json::object& object : golden("text.jsonl")) {
    const std::string text = text_of(object, "text");
    const std::string decoded = object.contains("decoded") ? text_of(object, "decoded") : text;
    const std::string answer = object.contains("skip_special") ? text_of(object, "skip_special") : text;
    EXPECT_EQ(gemma4().decode(ids_of(object)), decoded);
    EXPECT_EQ(gemma4().decode(ids_of(object), true), answer);
    EXPECT_EQ(detokenized(gemma4(), ids_of(object), false), decoded);
    EXPECT_EQ(detokenized(gemma4(), ids_of(object), true), answer);
  }
}

TEST(Gemma4Tokenizer, AnyBytesHaveIdsAndComeBack) {
  const std::vector<json::object> cases = golden("bytes.jsonl");
  ASSERT_EQ(cases.size(), 100U);
  for (const json::object& object : cases) {
    const std::string bytes = from_base64(text_of(object, "bytes_base64"));
    EXPECT_EQ(gemma4().encode(bytes), ids_of(object)) << printable(bytes);
    EXPECT_EQ(gemma4().decode(ids_of(object)), with_spaces(bytes)) << printable(bytes);
  }
}

TEST(Gemma4Tokenizer, KnowsItsSpecialTokens) {
  const Vocab& vocab = gemma4().vocab();
  EXPECT_EQ(vocab.size(), 262144U);
  EXPECT_EQ(vocab.pad(), 0);
  EXPECT_EQ(vocab.eos(), 1);
  EXPECT_EQ(vocab.bos(), 2);
  EXPECT_EQ(vocab.unk(), 3);
  EXPECT_TRUE(vocab.add_bos());
  EXPECT_EQ(vocab.ends(), (std::vector<std::int32_t>{1, 50, 106}));

  std::set<std::int32_t> special;
  const json::value file = parse_json_file(CARAT_TEST_DATA "/golden/tokenizer/specials.json");
  for (const json::value& token : file.as_array()) {
    const auto id = static_cast<std::int32_t>(token.at("id").as_int64());
    special.insert(id);
    EXPECT_EQ(vocab.piece(id), std::string_view(token.at("text").as_string()));
  }
  for (std::int32_t id = 0; vocab.contains(id); ++id) EXPECT_EQ(vocab.is_special(id), special.contains(id)) << id;
}

TEST(Gemma4Tokenizer, OptionsAddBosAndLeaveMarkersText) {
  EXPECT_EQ(gemma4().encode("a<turn|>", {.add_bos = true}), (std::vector<std::int32_t>{2, 236746, 106}));
  EXPECT_EQ(gemma4().encode("", {.add_bos = true}), std::vector<std::int32_t>{2});
  for (const json::object& object : golden("text.jsonl")) {
    for (const std::int32_t id : gemma4().encode(text_of(object, "text"), {.parse_special = false})) {
      EXPECT_FALSE(gemma4().vocab().is_special(id)) << text_of(object, "text");
    }
  }
}

TEST(Gemma4Tokenizer, RandomTextAndRandomBytesComeBack) {
  std::mt19937 random = tiny::seeded(1);
  for (int round = 0; round < 2000; ++round) {
    const std::string bytes = random_bytes(random, round % 2 == 0);
    for (const bool parse_special : {false, true}) {
      const auto ids = gemma4().encode(bytes, {.parse_special = parse_special});
      EXPECT_EQ(gemma4().decode(ids), bytes) << printable(bytes);
    }
  }
  std::string all;
  for (int i = 0; i < 65536; ++i) all += static_cast<char>(random());
  EXPECT_EQ(gemma4().decode(gemma4().encode(all)), with_spaces(all));
}

TEST(Gemma4Tokenizer, EachByteThatIsNoCharacterIsOneByteToken) {
  std::mt19937 random = tiny::seeded(2);
  for (int round = 0; round < 500; ++round) {
    const std::string bytes = random_bytes(random, false);
    std::size_t broken = 0;
    for (std::size_t i = 0; i < bytes.size();) {
      const std::size_t n = utf8_character_length(std::string_view(bytes).substr(i));
      broken += n == 0 ? 1U : 0U;
      i += n == 0 ? 1 : n;
    }
    std::size_t byte_tokens = 0;
    for (const std::int32_t id : gemma4().encode(bytes)) {
      const bool is_high = static_cast<unsigned char>(gemma4().vocab().piece(id)[0]) >= 0x80;
      byte_tokens += gemma4().vocab().type(id) == TokenType::kByte && is_high ? 1U : 0U;
    }
    EXPECT_EQ(byte_tokens, broken) << printable(bytes);  // every whole character of kParts is a token
  }
}

// A megabyte without any place to cut: quadratic work would not come to an end here.
TEST(Gemma4Tokenizer, LongRunsEnd) {
  constexpr std::size_t kSize = std::size_t{1} << 20;
  std::string word(kSize, 'a');
  std::mt19937 random = tiny::seeded(3);
  for (char& c : word) c = static_cast<char>('a' + random() % 26);
  for (const std::string& text : {word, std::string(kSize, 'a'), std::string(kSize, ' '), std::string(kSize, '\n'),
                                  std::string(kSize, '<'), std::string(kSize, '\xe2')}) {
    EXPECT_EQ(gemma4().decode(gemma4().encode(text)), text);
  }
}

TEST(Gemma4Tokenizer, RefusesIdsOutsideTheVocabulary) {
  for (const std::int32_t id : {-1, 262144}) {
    EXPECT_THROW(gemma4().decode(std::vector{id}), Error);
    Detokenizer detokenizer(gemma4().vocab(), {});
    EXPECT_THROW(detokenizer.push(id), Error);
  }
}

TEST(LoadTokenizer, TakesAFolder) {
  const Tokenizer tokenizer = load_tokenizer(std::filesystem::path(CARAT_GEMMA4_TOKENIZER).parent_path());
  EXPECT_EQ(tokenizer.encode("Hello, world!"), gemma4().encode("Hello, world!"));
}

TEST(LoadTokenizer, SaysWhatIsNotThere) {
  try {
    load_tokenizer("/nonexistent/model.gguf");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  }
  EXPECT_THROW(load_tokenizer(CARAT_TEST_DATA "/golden"), Error);
}

}  // namespace
}  // namespace carat
