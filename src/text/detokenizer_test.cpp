#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/unicode.h"
#include "text/tiny_vocab.h"

namespace carat {
namespace {

constexpr std::string_view kReplacement = "\ufffd";

Vocab tiny_vocab() {
  return Vocab(tiny::source({"a", "é", "▁the", "😀"}), "test");
}

std::int32_t byte(int value) {
  return tiny::kFirstByte + value;
}

// The definition: whole characters stay, every other byte becomes U+FFFD.
std::string repaired(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t n = utf8_character_length(bytes);
    text += n > 0 ? bytes.substr(0, n) : kReplacement;
    bytes.remove_prefix(n > 0 ? n : 1);
  }
  return text;
}

TEST(Detokenizer, HoldsBytesUntilTheyAreACharacter) {
  const Vocab vocab = tiny_vocab();
  Detokenizer detokenizer(vocab, {});
  EXPECT_EQ(detokenizer.push(byte(0xf0)), "");
  EXPECT_EQ(detokenizer.push(byte(0x9f)), "");
  EXPECT_EQ(detokenizer.push(byte(0x98)), "");
  EXPECT_EQ(detokenizer.push(byte(0x80)), "😀");
  EXPECT_EQ(detokenizer.push(byte('\n')), "\n");
  EXPECT_EQ(detokenizer.push(tiny::kFirstPiece + 2), " the");
  EXPECT_EQ(detokenizer.flush(), "");
}

TEST(Detokenizer, ReplacesEachByteThatCanNotBecomeOne) {
  const Vocab vocab = tiny_vocab();
  Detokenizer detokenizer(vocab, {});
  EXPECT_EQ(detokenizer.push(byte(0x80)), "\ufffd");
  EXPECT_EQ(detokenizer.push(byte(0xe2)), "");
  EXPECT_EQ(detokenizer.push(byte(0x82)), "");
  EXPECT_EQ(detokenizer.push(tiny::kFirstPiece), "\ufffd\ufffda") << "a token of whole characters ends the wait";
  EXPECT_EQ(detokenizer.push(byte(0xe2)), "");
  EXPECT_EQ(detokenizer.push(byte(0x28)), "\ufffd(") << "so does a byte that begins another character";
  EXPECT_EQ(detokenizer.push(byte(0xf0)), "");
  EXPECT_EQ(detokenizer.push(byte(0x9f)), "");
  EXPECT_EQ(detokenizer.flush(), "\ufffd\ufffd");
  EXPECT_EQ(detokenizer.flush(), "");
}

TEST(Detokenizer, SpecialTokensGiveTextOnlyWhereAsked) {
  const Vocab vocab = tiny_vocab();
  Detokenizer with(vocab, {});
  Detokenizer without(vocab, {.skip_special = true});
  EXPECT_EQ(with.push(tiny::kEos), "<eos>");
  EXPECT_EQ(without.push(tiny::kEos), "");
  EXPECT_EQ(without.push(byte(0xc3)), "");
  EXPECT_EQ(without.push(tiny::kPad), "") << "what is skipped does not end the wait";
  EXPECT_EQ(without.push(byte(0xa9)), "é");
}

TEST(Detokenizer, TheStreamIsTheWholeText) {
  const Vocab vocab = tiny_vocab();
  std::mt19937 random = tiny::seeded(1);
  constexpr std::array<int, 12> kBytes{0xf0, 0x9f, 0x98, 0x80, 0xe2, 0x82, 0xac, 0xc3, 0xa9, 0xff, 0x28, 0xed};
  for (int round = 0; round < 5000; ++round) {
    Detokenizer detokenizer(vocab, {});
    std::string bytes;
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n) {
      const bool is_piece = random() % 4 == 0;
      const auto id = is_piece ? tiny::kFirstPiece + static_cast<std::int32_t>(random() % 4)
                               : byte(kBytes[random() % kBytes.size()]);
      bytes += vocab.piece(id);
      const std::string part = detokenizer.push(id);
      EXPECT_TRUE(is_valid_utf8(part));
      text += part;
      EXPECT_LE(repaired(bytes).size(), text.size() + 3 * kReplacement.size()) << "no more than 3 bytes are held";
    }
    text += detokenizer.flush();
    EXPECT_EQ(text, repaired(bytes));
  }
}

}  // namespace
}  // namespace carat
