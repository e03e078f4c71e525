#include "engine/byte_tokenizer.h"

#include <utility>
#include <vector>

#include "base/error.h"

namespace carat {

Tokenizer byte_tokenizer(std::span<const std::string> words) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  VocabSource source;
  for (const std::string_view name : kControlPieces) source.tokens.push_back({std::string(name), TokenType::kControl});
  for (std::size_t byte = 0; byte < 256; ++byte) {
    source.tokens.push_back({str("<0x", std::string{kHex[byte / 16], kHex[byte % 16]}, ">"), TokenType::kByte});
  }
  for (const std::string& word : words) {
    std::string in_file;  // as files write a space
    for (const char c : word) in_file += c == ' ' ? std::string(kSpaceMark) : std::string(1, c);
    source.tokens.push_back({std::move(in_file), TokenType::kNormal});
  }
  source.pad = 0;
  source.eos = 1;
  source.bos = 2;
  source.unk = 3;
  source.add_bos = true;
  constexpr std::string_view kWhere = "byte tokenizer";
  Vocab vocab(source, kWhere);
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < kControlPieces.size(); ++i) {
    added.push_back({std::string(kControlPieces[i]), static_cast<std::int32_t>(i)});
  }
  MergeTable merges({}, vocab, kWhere);
  return {std::move(vocab), std::move(merges), std::move(added)};
}

Tokenizer byte_tokenizer(std::size_t vocab) {
  std::vector<std::string> words;
  for (std::size_t id = kFirstWord; id < vocab; ++id) words.push_back(str("word ", id));
  return byte_tokenizer(words);
}

}  // namespace carat
