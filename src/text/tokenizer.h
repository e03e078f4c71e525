// Tokenizer: text into token ids and back.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/vocab.h"

namespace carat {

struct EncodeOptions {
  bool add_bos = false;  // begin with bos, if the vocabulary has one
  // Take text such as "<|turn>" for the token of that name. Off for what users write: there it is only text.
  bool parse_special = true;
};

// Immutable; threads may share it.
class Tokenizer {
 public:
  // added: what parse_special finds. Ids in merges and added are within the vocabulary.
  Tokenizer(Vocab vocab, MergeTable merges, std::vector<AddedToken> added);

  // Any bytes are text: each byte that is not part of a valid UTF-8 character becomes its byte token, the characters
  // between are encoded as if they stood alone. Throws Error(kBadInput) for 4 GiB and more.
  std::vector<std::int32_t> encode(std::string_view bytes, EncodeOptions options = {}) const;

  // The bytes that the ids stand for, whether they are UTF-8 or not: decode(encode(bytes)) == bytes, save that U+2581
  // comes back as a space. For text fit to print, and piece by piece, use a Detokenizer.
  // Throws Error(kBadInput) for an id outside the vocabulary.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  const Vocab& vocab() const { return vocab_; }
  // The tokens that parse_special finds.
  const AddedTokens& added_tokens() const { return added_; }

 private:
  void encode_text(std::string_view text, bool parse_special, std::vector<std::int32_t>& ids) const;
  void encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const;

  Vocab vocab_;
  Bpe bpe_;
  AddedTokens added_;
};

}  // namespace carat
