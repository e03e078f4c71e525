#include "engine/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace carat {

Logprobs::Logprobs(std::span<const float> logits, std::size_t top, const Vocab& vocab) : vocab_(vocab) {
  const float largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += static_cast<double>(std::exp(logit - largest));
  norm_ = static_cast<double>(largest) + std::log(sum);
  // Logits that are no numbers have no order; the sampler refuses them.
  if (!std::isfinite(norm_)) return;

  std::vector<std::int32_t> best(std::min(top, logits.size()));
  if (best.empty()) return;
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::ranges::partial_sort_copy(ids, best, [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)];
    const float y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  });
  for (const std::int32_t id : best) {
    top_.push_back({id, std::string(vocab.piece(id)), logprob(logits[static_cast<std::size_t>(id)])});
  }
}

TokenLogprob Logprobs::of(std::int32_t token, float logit) const {
  TokenLogprob result;
  result.token = token;
  result.bytes = vocab_.piece(token);
  result.logprob = logprob(logit);
  result.top = top_;
  return result;
}

}  // namespace carat
