// Bpe: byte pair encoding, text into ids by merging neighbours in order of rank.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/merges.h"
#include "text/vocab.h"

namespace carat {

// Starts from one token per character (the bytes of a character that is none) and, as long as any two neighbours
// merge, merges the pair of the lowest rank, the leftmost of equals. There are no word boundaries: Gemma splits text
// nowhere but at added tokens. Same ids as Hugging Face tokenizers, models/bpe/word.rs, Word::merge_all.
//
// The result is that of the whole text at once, but the work is done in stretches that end where no merge could reach
// across (MergeTable::may_cross): in Gemma's vocabularies at almost every space and newline.
//
// Immutable; threads may share it. Time O(n log n) and about 30 bytes of memory a character, for any text.
class Bpe {
 public:
  Bpe(const Vocab& vocab, MergeTable merges);

  // Appends the ids of text, which is valid UTF-8 without U+2581 and shorter than 4 GiB. vocab: that of the
  // constructor.
  void encode(const Vocab& vocab, std::string_view text, std::vector<std::int32_t>& ids) const;

 private:
  MergeTable merges_;
  std::array<std::int32_t, 128> ascii_ids_{};  // of each character, or of its byte
};

}  // namespace carat
