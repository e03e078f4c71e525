#include "grammar/grammar_constraint.h"

#include <algorithm>

#include "base/error.h"

namespace carat {

bool GrammarConstraint::fill(std::span<std::uint32_t> allowed) {
  const TokenMask& mask = state_.allowed();
  if (mask.allowed_count() == 0) {
    throw Error(ErrorKind::kBadInput,
                "the grammar has come to a dead end: no token may follow, and the answer is not complete");
  }
  // A model may have logits beyond the tokens of its vocabulary.
  const std::size_t words = std::min(mask.words().size(), allowed.size());
  std::ranges::copy(mask.words().first(words), allowed.begin());
  std::ranges::fill(allowed.subspan(words), 0U);
  return true;
}

void GrammarConstraint::accept(std::int32_t token) {
  state_.accept(token);
}

std::unique_ptr<TokenConstraint> GrammarConstraint::clone() const {
  return std::make_unique<GrammarConstraint>(*this);
}

}  // namespace carat
