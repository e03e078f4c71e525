// TokenConstraint: which tokens may come next, for an answer that must follow a grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace carat {

// The state of one answer. The engine asks before each token is drawn and tells which one was; it begins where the
// answer begins: tokens of a thought before it are neither asked for nor told. Used by one thread at a time.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  // Bit t % 32 of word t / 32 says whether token t may come next; allowed: [(vocab + 31) / 32], written as a whole. At
  // least one bit is set: where the answer may be over, those of the tokens that end it. Returns false, and need not
  // write, where every token may come.
  virtual bool fill(std::span<std::uint32_t> allowed) = 0;

  // The token that was drawn, one that fill allowed; also the one that ends the answer.
  virtual void accept(std::int32_t token) = 0;

  // The same state once more, for several answers to one prompt.
  virtual std::unique_ptr<TokenConstraint> clone() const = 0;
};

}  // namespace carat
