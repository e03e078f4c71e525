#include "text/added_tokens.h"

#include <algorithm>
#include <span>

namespace carat {

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.text < b.text; });
  for (const AddedToken& token : tokens_) ++begins_[static_cast<unsigned char>(token.text[0]) + std::size_t{1}];
  for (std::size_t b = 1; b < begins_.size(); ++b) begins_[b] += begins_[b - 1];
}

std::optional<AddedTokens::Match> AddedTokens::find(std::string_view text, std::size_t begin) const {
  for (; begin < text.size(); ++begin) {
    if (const AddedToken* token = longest_prefix(text.substr(begin)))
      return Match{begin, token->text.size(), token->id};
  }
  return std::nullopt;
}

const AddedToken* AddedTokens::longest_prefix(std::string_view text) const {
  const std::size_t first = static_cast<unsigned char>(text[0]);
  // All tokens that begin with the n bytes of text looked at so far; in order, so the shortest is in front.
  std::span candidates = std::span(tokens_).subspan(begins_[first], begins_[first + 1] - begins_[first]);
  const AddedToken* longest = nullptr;
  for (std::size_t n = 1; !candidates.empty(); ++n) {
    if (candidates.front().text.size() == n) {
      longest = &candidates.front();
      candidates = candidates.subspan(1);
    }
    if (n == text.size()) break;
    const auto next = static_cast<unsigned char>(text[n]);
    const auto byte = [n](const AddedToken& token) { return static_cast<unsigned char>(token.text[n]); };
    const auto begin = std::partition_point(candidates.begin(), candidates.end(),
                                            [&](const AddedToken& token) { return byte(token) < next; });
    const auto end =
        std::partition_point(begin, candidates.end(), [&](const AddedToken& token) { return byte(token) == next; });
    candidates = {begin, end};
  }
  return longest;
}

}  // namespace carat
