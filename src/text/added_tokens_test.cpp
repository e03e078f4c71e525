#include "text/added_tokens.h"

#include <gtest/gtest.h>

#include <random>

#include "text/tiny_vocab.h"

namespace carat {
namespace {

// The definition: at the first position where any token stands, the longest.
std::optional<AddedTokens::Match> find_slowly(const std::vector<AddedToken>& tokens, std::string_view text,
                                              std::size_t begin) {
  for (; begin < text.size(); ++begin) {
    std::optional<AddedTokens::Match> best;
    for (const AddedToken& token : tokens) {
      if (text.substr(begin).starts_with(token.text) && (!best || token.text.size() > best->size)) {
        best = {begin, token.text.size(), token.id};
      }
    }
    if (best) return best;
  }
  return std::nullopt;
}

TEST(AddedTokens, LeftmostThenLongest) {
  const AddedTokens added({{"<a>", 1}, {"<a>b", 2}, {"\n", 3}, {"\n\n", 4}, {"\n\n\n", 5}});
  const auto match = added.find("x<a>bc", 0);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->begin, 1U);
  EXPECT_EQ(match->size, 4U);
  EXPECT_EQ(match->id, 2);
  EXPECT_EQ(added.find("\n\n\n\n", 0)->id, 5);
  EXPECT_EQ(added.find("\n\n\n\n", 2)->id, 4);
  EXPECT_FALSE(added.find("<a", 0));
  EXPECT_FALSE(added.find("", 0));
  EXPECT_FALSE(AddedTokens({}).find("<a>", 0));
}

TEST(AddedTokens, EqualsTheDefinitionOnRandomTexts) {
  std::mt19937 random = tiny::seeded(1);
  const auto text = [&](std::size_t size) {
    std::string out;
    for (std::size_t i = 0; i < size; ++i) out += "ab\xff"[random() % 3];
    return out;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<AddedToken> tokens;
    for (std::int32_t id = 0; id < 12; ++id) {
      const std::string piece = text(1 + random() % 5);
      const bool is_new = std::none_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.text == piece; });
      if (is_new) tokens.push_back({piece, id});
    }
    const AddedTokens added(tokens);
    for (int i = 0; i < 20; ++i) {
      const std::string sample = text(random() % 12);
      for (std::size_t begin = 0; begin <= sample.size(); ++begin) {
        const auto expected = find_slowly(tokens, sample, begin);
        const auto found = added.find(sample, begin);
        ASSERT_EQ(found.has_value(), expected.has_value());
        if (!found) continue;
        EXPECT_EQ(found->begin, expected->begin);
        EXPECT_EQ(found->size, expected->size);
        EXPECT_EQ(found->id, expected->id);
      }
    }
  }
}

}  // namespace
}  // namespace carat
