#include "text/detokenizer.h"

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace

std::string Detokenizer::push(std::int32_t id) {
  if (!vocab_.contains(id)) {
    throw Error(ErrorKind::kBadInput, str("Token ", id, " is outside the vocabulary of ", vocab_.size(), " tokens."));
  }
  if (options_.skip_special && vocab_.is_special(id)) return {};
  if (vocab_.type(id) != TokenType::kByte) return flush().append(vocab_.piece(id));  // whole characters only
  held_ += vocab_.piece(id);
  std::string text;
  while (!held_.empty() && !is_utf8_prefix(held_)) {
    const std::size_t n = utf8_character_length(held_);
    text += n > 0 ? std::string_view(held_).substr(0, n) : kReplacement;
    held_.erase(0, n > 0 ? n : 1);
  }
  return text;
}

std::string Detokenizer::flush() {
  std::string text;
  for (std::size_t i = 0; i < held_.size(); ++i) text += kReplacement;
  held_.clear();
  return text;
}

}  // namespace carat
