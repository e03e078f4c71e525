#include "text/tokenizer.h"

#include <limits>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

// Length in bytes of the valid UTF-8 that text begins with.
std::size_t valid_prefix(std::string_view text) {
  std::size_t n = 0;
  while (const std::size_t character = utf8_character_length(text.substr(n))) n += character;
  return n;
}

}  // namespace

Tokenizer::Tokenizer(Vocab vocab, MergeTable merges, std::vector<AddedToken> added)
    : vocab_(std::move(vocab)), bpe_(vocab_, std::move(merges)), added_(std::move(added)) {}

std::vector<std::int32_t> Tokenizer::encode(std::string_view bytes, EncodeOptions options) const {
  if (bytes.size() >= std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorKind::kBadInput, str("The text has ", bytes.size(), " bytes, the limit is 4 GiB. Shorten it."));
  }
  std::vector<std::int32_t> ids;
  if (options.add_bos && vocab_.bos()) ids.push_back(*vocab_.bos());
  while (!bytes.empty()) {
    const std::size_t n = valid_prefix(bytes);
    encode_text(bytes.substr(0, n), options.parse_special, ids);
    bytes.remove_prefix(n);
    if (bytes.empty()) break;
    ids.push_back(vocab_.byte_id(static_cast<std::uint8_t>(bytes[0])));
    bytes.remove_prefix(1);
  }
  return ids;
}

void Tokenizer::encode_text(std::string_view text, bool parse_special, std::vector<std::int32_t>& ids) const {
  std::size_t begin = 0;
  while (parse_special) {
    const auto match = added_.find(text, begin);
    if (!match) break;
    encode_plain(text.substr(begin, match->begin - begin), ids);
    ids.push_back(match->id);
    begin = match->begin + match->size;
  }
  encode_plain(text.substr(begin), ids);
}

void Tokenizer::encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
  if (text.find(kSpaceMark) == std::string_view::npos) {
    bpe_.encode(vocab_, text, ids);
  } else {
    std::string with_spaces;
    append_with_spaces(text, with_spaces);
    bpe_.encode(vocab_, with_spaces, ids);
  }
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (!vocab_.contains(id)) {
      throw Error(ErrorKind::kBadInput, str("Token ", id, " is outside the vocabulary of ", vocab_.size(), " tokens."));
    }
    if (!skip_special || !vocab_.is_special(id)) bytes += vocab_.piece(id);
  }
  return bytes;
}

}  // namespace carat
