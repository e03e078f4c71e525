// GrammarConstraint: a grammar as the engine knows it.
#pragma once

#include <memory>
#include <utility>

#include "grammar/grammar.h"
#include "sampling/token_constraint.h"

namespace carat {

class GrammarConstraint final : public TokenConstraint {
 public:
  explicit GrammarConstraint(std::shared_ptr<const Grammar> grammar) : state_(std::move(grammar)) {}

  bool fill(std::span<std::uint32_t> allowed) override;
  void accept(std::int32_t token) override;
  std::unique_ptr<TokenConstraint> clone() const override;

 private:
  GrammarState state_;
};

}  // namespace carat
