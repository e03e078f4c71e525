#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>

#include "base/error.h"
#include "text/tiny_vocab.h"

namespace carat {
namespace {

constexpr std::array<std::string_view, 5> kCharacters{"a", "b", "é", " ", "\n"};

std::string random_text(std::mt19937& random, std::size_t characters) {
  std::string text;
  for (std::size_t i = 0; i < characters; ++i) text += kCharacters[random() % kCharacters.size()];
  return text;
}

// Characters, and strings put together from them.
std::vector<std::string> random_pieces(std::mt19937& random) {
  std::set<std::string> pieces(kCharacters.begin(), kCharacters.end());
  while (pieces.size() < 40) {
    const auto any = [&] { return *std::next(pieces.begin(), static_cast<long>(random() % pieces.size())); };
    const std::string piece = any() + any();
    if (piece.size() <= 10) pieces.insert(piece);
  }
  return {pieces.begin(), pieces.end()};
}

// The definition: merge the pair of the lowest rank, the leftmost of equals, until none merges.
template <typename RankAndMerged>
std::vector<std::int32_t> merge_slowly(std::vector<std::int32_t> ids, const RankAndMerged& look_up) {
  for (;;) {
    std::size_t best = ids.size();
    MergeTable::Found found;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const MergeTable::Found pair = look_up(ids[i], ids[i + 1]);
      if (pair.rank < found.rank) {
        best = i;
        found = pair;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = found.merged;
    ids.erase(ids.begin() + static_cast<long>(best) + 1);
  }
}

std::vector<std::int32_t> characters_of(const Vocab& vocab, std::string_view text) {
  std::vector<std::int32_t> ids;
  while (!text.empty()) {
    const std::size_t n = text[0] == "é"[0] ? 2 : 1;
    ids.push_back(vocab.find(text.substr(0, n)).value());
    text.remove_prefix(n);
  }
  return ids;
}

TEST(Bpe, EqualsTheDefinitionOnRandomMerges) {
  std::mt19937 random = tiny::seeded(1);
  for (int round = 0; round < 100; ++round) {
    const Vocab vocab(tiny::source(random_pieces(random)), "test");
    std::vector<Merge> merges;
    for (auto id = tiny::kFirstPiece; vocab.contains(id); ++id) {
      const std::string_view piece = vocab.piece(id);
      for (std::size_t n = 1; n < piece.size(); ++n) {
        const auto left = vocab.find(piece.substr(0, n));
        const auto right = vocab.find(piece.substr(n));
        if (left && right && random() % 4 != 0) merges.push_back({*left, *right, id, 0});
      }
    }
    std::shuffle(merges.begin(), merges.end(), random);
    std::map<std::pair<std::int32_t, std::int32_t>, MergeTable::Found> by_pair;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      merges[i].rank = static_cast<std::uint32_t>(i);
      by_pair[{merges[i].left, merges[i].right}] = {merges[i].rank, merges[i].merged};
    }
    const Bpe bpe(vocab, MergeTable(merges, vocab, "test"));
    for (int i = 0; i < 50; ++i) {
      const std::string text = random_text(random, random() % 40);
      std::vector<std::int32_t> ids;
      bpe.encode(vocab, text, ids);
      EXPECT_EQ(ids, merge_slowly(characters_of(vocab, text), [&](std::int32_t left, std::int32_t right) {
                  const auto found = by_pair.find({left, right});
                  return found == by_pair.end() ? MergeTable::Found{} : found->second;
                }));
    }
  }
}

// SentencePiece's rule needs no list of merges: two neighbours merge when their text together is a token.
TEST(Bpe, MergesFromScoresEqualSentencePiecesRule) {
  std::mt19937 random = tiny::seeded(2);
  for (int round = 0; round < 100; ++round) {
    const Vocab vocab(tiny::source(random_pieces(random)), "test");
    std::vector<float> scores(vocab.size());
    for (float& score : scores) score = -static_cast<float>(random() % 20);  // with ties
    const Bpe bpe(vocab, MergeTable(merges_from_scores(vocab, scores), vocab, "test"));
    for (int i = 0; i < 50; ++i) {
      const std::string text = random_text(random, random() % 40);
      std::vector<std::int32_t> ids;
      bpe.encode(vocab, text, ids);
      EXPECT_EQ(
          ids, merge_slowly(characters_of(vocab, text), [&](std::int32_t left, std::int32_t right) {
            const auto merged = vocab.find(std::string(vocab.piece(left)).append(vocab.piece(right)));
            if (!merged) return MergeTable::Found{};
            return MergeTable::Found{static_cast<std::uint32_t>(-scores[static_cast<std::size_t>(*merged)]), *merged};
          }));
    }
  }
}

TEST(Bpe, OnlyTextIsMadeFromScores) {
  VocabSource source = tiny::source({"a", "b", "ab", "aa", "bb", "ba"});
  source.tokens[262].type = TokenType::kControl;      // ab
  source.tokens[263].type = TokenType::kUnused;       // aa
  source.tokens[265].type = TokenType::kUserDefined;  // ba
  const Vocab vocab(source, "test");
  std::vector<float> scores(vocab.size(), 0);
  scores[265] = -1000;
  const std::vector<Merge> merges = merges_from_scores(vocab, scores);
  ASSERT_EQ(merges.size(), 2U);
  EXPECT_EQ(merges[0].merged, 264);
  EXPECT_EQ(merges[1].merged, 265);
  EXPECT_LT(merges[1].rank, merges[0].rank) << "what a user defined goes first, whatever its score";
}

TEST(Bpe, UnknownCharactersBecomeBytes) {
  const Vocab vocab(tiny::source({"a", "▁"}), "test");
  const Bpe bpe(vocab, MergeTable({}, vocab, "test"));
  std::vector<std::int32_t> ids{7};
  bpe.encode(vocab, "aé ?", ids);
  EXPECT_EQ(ids,
            (std::vector<std::int32_t>{7, 260, vocab.byte_id(0xc3), vocab.byte_id(0xa9), 261, vocab.byte_id('?')}));
}

TEST(Bpe, WorkEndsWhereNoMergeReachesAcross) {
  const Vocab vocab(tiny::source({"a", "b", "ab"}), "test");
  const MergeTable merges({{260, 261, 262, 0}}, vocab, "test");
  EXPECT_TRUE(merges.may_cross('a', 'b'));
  EXPECT_FALSE(merges.may_cross('b', 'a'));
  EXPECT_FALSE(merges.may_cross('\xff', '\xff'));
}

TEST(MergeList, ReadsBothForms) {
  const Vocab vocab(tiny::source({"▁", "a", "▁a", "b", "ab"}), "test");
  MergeList list(vocab, "file: merges", 2);
  list.add("▁ a");
  list.add("a", "b");
  const std::vector<Merge> merges = list.take();
  ASSERT_EQ(merges.size(), 2U);
  EXPECT_EQ(merges[0].left, 260);
  EXPECT_EQ(merges[0].right, 261);
  EXPECT_EQ(merges[0].merged, 262);
  EXPECT_EQ(merges[0].rank, 0U);
  EXPECT_EQ(merges[1].merged, 264);
  EXPECT_EQ(merges[1].rank, 1U);
}

TEST(MergeList, RefusesWhatIsNoPairOfTokens) {
  const Vocab vocab(tiny::source({"a", "b", "\u2581b", "a\u2581b"}), "test");
  for (const char* pair : {"", "a", "a b b", " a", "a ", "a c", "c a", "a b", "<0x00> a", "a  b"}) {
    MergeList list(vocab, "file: merges", 1);
    EXPECT_THROW(list.add(pair), Error) << pair;
  }
}

TEST(MergeTable, RefusesAPairThatIsListedTwice) {
  const Vocab vocab(tiny::source({"a", "aa"}), "test");
  EXPECT_THROW(MergeTable({{260, 260, 261, 0}, {260, 260, 261, 1}}, vocab, "test"), Error);
}

}  // namespace
}  // namespace carat
