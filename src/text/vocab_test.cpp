#include "text/vocab.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/tiny_vocab.h"

namespace carat {
namespace {

std::string refusal(const VocabSource& source) {
  try {
    const Vocab vocab(source, "file.gguf");
  } catch (const Error& error) {
    EXPECT_NE(error.kind(), ErrorKind::kInternal);
    return error.what();
  }
  return "";
}

TEST(Vocab, BytePieces) {
  EXPECT_EQ(byte_of_piece("<0x0A>"), 10);
  EXPECT_EQ(byte_of_piece("<0xFF>"), 255);
  for (const char* other : {"", "<0x0A", "<0x0G>", "<0x-1>", "<0x+1>", "<0x0AA>", "(0x0A>", "<0xA >"}) {
    EXPECT_EQ(byte_of_piece(other), std::nullopt) << other;
  }
}

TEST(Vocab, SpaceMarksBecomeSpaces) {
  std::string out = "x";
  append_with_spaces("▁a▁▁b▁", out);
  EXPECT_EQ(out, "x a  b ");
  append_with_spaces("", out);
  EXPECT_EQ(out, "x a  b ");
}

TEST(Vocab, PiecesAreTheBytesOfText) {
  const Vocab vocab(tiny::source({"▁the", "é"}), "test");
  EXPECT_EQ(vocab.size(), 262U);
  EXPECT_EQ(vocab.piece(tiny::kFirstPiece), " the");
  EXPECT_EQ(vocab.find(" the"), tiny::kFirstPiece);
  EXPECT_EQ(vocab.find("▁the"), std::nullopt);
  EXPECT_EQ(vocab.find("é"), tiny::kFirstPiece + 1);
  EXPECT_EQ(vocab.find("<bos>"), tiny::kBos);
  EXPECT_EQ(vocab.find("nothing"), std::nullopt);
  EXPECT_EQ(vocab.find(""), std::nullopt);
  EXPECT_EQ(vocab.byte_id(0x0a), tiny::kFirstByte + 10);
  EXPECT_EQ(vocab.piece(vocab.byte_id(0x0a)), "\n");
  EXPECT_EQ(vocab.piece(vocab.byte_id(0)), std::string_view("\0", 1));
  EXPECT_EQ(vocab.find("\n"), std::nullopt) << "byte tokens are found by byte_id() only";
  EXPECT_EQ(vocab.find("<0x0A>"), std::nullopt);
  EXPECT_TRUE(vocab.contains(261));
  EXPECT_FALSE(vocab.contains(262));
  EXPECT_FALSE(vocab.contains(-1));
}

TEST(Vocab, EndsAreEosAndTheControlTokensThatEndATurn) {
  VocabSource source = tiny::source({"<turn|>", "<|tool_response>", "<end_of_turn>", "x"});
  EXPECT_EQ(Vocab(source, "test").ends(), std::vector<std::int32_t>{tiny::kEos}) << "normal tokens only look like it";
  source.tokens[260].type = TokenType::kControl;
  source.tokens[261].type = TokenType::kControl;
  source.ends = {263, 1};
  const Vocab vocab(source, "test");
  EXPECT_EQ(vocab.ends(), (std::vector<std::int32_t>{tiny::kEos, 260, 261, 263}));
  EXPECT_TRUE(vocab.is_end(261));
  EXPECT_FALSE(vocab.is_end(262));
}

TEST(Vocab, RefusesWhatCanNotBe) {
  EXPECT_NE(refusal({}).find("file.gguf: has 0 tokens"), std::string::npos);
  EXPECT_NE(refusal(tiny::source({"a", "b", "a"})).find("token 262 (\"a\") repeats token 260"), std::string::npos);
  EXPECT_NE(refusal(tiny::source({"▁", " "})).find("repeats token 260"), std::string::npos);
  EXPECT_NE(refusal(tiny::source({"\xff"})).find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(refusal(tiny::source({""})).find("has 0 bytes"), std::string::npos);
  EXPECT_NE(refusal(tiny::source({std::string(257, 'a')})).find("has 257 bytes"), std::string::npos);

  VocabSource source = tiny::source({"a"});
  source.tokens[9].type = TokenType::kNormal;
  EXPECT_NE(refusal(source).find("no token for byte 5"), std::string::npos);
  source = tiny::source({"a"});
  source.tokens[9].piece = "<0x04>";
  EXPECT_NE(refusal(source).find("the same byte as token 8"), std::string::npos);
  source.tokens[9].piece = "five";
  EXPECT_NE(refusal(source).find("expected a name from <0x00>"), std::string::npos);

  source = tiny::source({"a"});
  source.bos = 261;
  EXPECT_NE(refusal(source).find("the id of bos is 261"), std::string::npos);
  source.bos = -1;
  EXPECT_NE(refusal(source).find("the id of bos is -1"), std::string::npos);
  source = tiny::source({"a"});
  source.ends = {std::int64_t{1} << 40};
  EXPECT_NE(refusal(source).find("end of turn"), std::string::npos);
}

}  // namespace
}  // namespace carat
