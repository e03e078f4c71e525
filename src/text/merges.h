// Merges: which two neighbouring tokens become one, and which such pair goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocab.h"

namespace carat {

// left and right, side by side, become merged; the pair with the lowest rank goes first.
struct Merge {
  std::int32_t left;
  std::int32_t right;
  std::int32_t merged;
  std::uint32_t rank;
};

// Merges as a file lists them, by their pieces and in the order of their rank.
class MergeList {
 public:
  // `where` begins the messages of errors; both outlive the list.
  MergeList(const Vocab& vocab, std::string_view where, std::size_t size);

  // left and right as files write them. Throws Error(kBadFile) when they or what they make together is no token.
  void add(std::string_view left, std::string_view right);
  // "left right". Throws Error(kBadFile) unless there is exactly one space.
  void add(std::string_view pair);

  std::vector<Merge> take() { return std::move(merges_); }

 private:
  std::int32_t token(std::string_view text) const;

  const Vocab& vocab_;
  std::string_view where_;
  std::vector<Merge> merges_;
  std::string text_;  // of the merge at hand
};

// The merges of a SentencePiece vocabulary, which lists scores instead: a pair is merged when together it is a token,
// the pair that makes the token of the highest score first. Tokens that a user defined go before all others, as in the
// reference's conversion (transformers, convert_slow_tokenizer.py, which finds them with a score of 0).
// scores: one per token, finite.
std::vector<Merge> merges_from_scores(const Vocab& vocab, std::span<const float> scores);

// Immutable; finds a pair's merge.
class MergeTable {
 public:
  static constexpr std::uint32_t kNoRank = 0xffffffffU;

  struct Found {
    std::uint32_t rank = kNoRank;  // kNoRank: the two don't merge
    std::int32_t merged = -1;
  };

  // Throws Error(kBadFile) when a pair is listed twice.
  MergeTable(std::vector<Merge> merges, const Vocab& vocab, std::string_view where);

  Found find(std::int32_t left, std::int32_t right) const;

  // False when no merge joins a token that ends with the byte `last` and one that begins with `first`: where these meet
  // between two characters, both sides can be encoded alone.
  bool may_cross(char last, char first) const { return crossings_[crossing(last, first)]; }

 private:
  struct Entry {
    std::int32_t right;
    Found found;
  };

  static std::size_t crossing(char last, char first) {
    return std::size_t{static_cast<unsigned char>(last)} << 8 | static_cast<unsigned char>(first);
  }

  // Entries of one left token lie side by side, ordered by right. A search, unlike a hash, has no worst case that a
  // file could be made for.
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> begins_;  // [vocab + 1], into entries_, by left
  std::vector<bool> crossings_;        // [256 * 256], by crossing()
};

}  // namespace carat
