// Log probabilities of tokens, from the logits of the model before temperature and filters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/stream.h"
#include "text/vocab.h"

namespace carat {

// Of one position. Made from the logits as the model gave them; afterwards these may be written over.
class Logprobs {
 public:
  // logits: [vocab]; top: how many of the likeliest tokens are told (equal ones in the order of their ids).
  Logprobs(std::span<const float> logits, std::size_t top, const Vocab& vocab);

  // logit: the token's, as it was in logits.
  TokenLogprob of(std::int32_t token, float logit) const;

 private:
  float logprob(float logit) const { return static_cast<float>(static_cast<double>(logit) - norm_); }

  const Vocab& vocab_;
  double norm_ = 0;  // log sum exp of the logits
  std::vector<TokenLogprob::Alternative> top_;
};

}  // namespace carat
