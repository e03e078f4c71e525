// Sampler: logits -> the next token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sampling/random.h"
#include "sampling/sampling_params.h"
#include "sampling/token_mask.h"

namespace carat {

struct Sampled {
  std::int32_t token = 0;
  float probability = 0;  // after all filters
};

// From the logits l of one position to a token, in this order, which is that of transformers' generate() where that
// has the step (generation/logits_process.py):
//   1. logit bias           l[t] += bias
//   2. repetition penalty   l[t] = l[t] > 0 ? l[t] / penalty : l[t] * penalty    for every t among the latest tokens
//   3. frequency, presence  l[t] -= frequency * (times t occurs) + presence      for the same t
//   4. temperature          p = softmax(l / temperature); at 0, all goes to the largest l, and 5 to 8 are left out
//   5. top-k                keeps the k largest l, and all that equal the k-th
//   6. top-p                goes from the most likely token down; keeps a token as long as those before it have
//                           together less than top_p of what 5 kept. The first is always kept.
//   7. min-p                keeps what has at least min_p of the largest p
//   8. a draw               among what is kept, by one number of the random stream
// Equal logits stand in the order of their ids: the lower one is the likelier.
//
// Not for two threads at once: it keeps buffers from call to call. What it returns depends on its arguments only.
class Sampler {
 public:
  // vocab: number of tokens, > 0. Throws as validate().
  Sampler(SamplingParams params, std::size_t vocab);

  const SamplingParams& params() const { return params_; }

  // logits: [vocab]; -infinity bans a token. history: the sequence so far, prompt and all; ids outside of [0, vocab)
  // stand for media and are passed over. mask, if given: bans tokens too, those beyond its size with them; the fewer it
  // allows, the less work there is. Both throw Error(kInternal) when a logit that the mask allows is NaN or +infinity
  // or every token is banned: no text may come of that.

  // What steps 1 to 7 leave, the probabilities summing to 1; tokens whose probability is 0 as a float are dropped.
  // The most likely comes first where top-k or top-p is on, the lowest id where neither is. Valid until the next call.
  std::span<const Sampled> filtered(std::span<const float> logits, std::span<const std::int32_t> history,
                                    const TokenMask* mask = nullptr);

  // One of filtered(). Takes one number of the stream; none at temperature 0.
  Sampled sample(std::span<const float> logits, std::span<const std::int32_t> history, Random& random,
                 const TokenMask* mask = nullptr);

 private:
  struct Candidate {
    std::int32_t token;
    float logit;
    double weight;  // exp((logit - largest logit) / temperature)
  };

  std::span<const float> adjusted(std::span<const float> logits, std::span<const std::int32_t> history);
  void apply_penalties(std::span<const std::int32_t> history);
  float top_k_threshold(std::span<const float> logits, const TokenMask* mask);
  void collect(std::span<const float> logits, const TokenMask* mask, float threshold, float largest);
  void keep_top_p();
  void keep_min_p();

  SamplingParams params_;
  std::size_t vocab_;
  std::vector<float> adjusted_;        // [vocab] when bias or penalties are on
  std::vector<std::uint32_t> counts_;  // [vocab] when penalties are on; all zero between calls
  std::vector<float> largest_;         // of top_k_threshold
  std::vector<Candidate> candidates_;  // what is kept so far
  std::vector<Sampled> filtered_;
};

}  // namespace carat
