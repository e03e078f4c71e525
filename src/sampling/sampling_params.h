// SamplingParams: how the next token is chosen from the logits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace carat {

struct LogitBias {
  std::int32_t token = 0;
  double bias = 0;  // added to the token's logit: -100 ... 100, or -infinity, which bans the token
};

// The defaults are those of Gemma's model cards: temperature 1, top-k 64, top-p 0.95, nothing else.
// The filters work in the order in which they stand here; sampler.h has their formulas.
struct SamplingParams {
  std::vector<LogitBias> logit_bias;  // several for one token add up

  double repetition_penalty = 1;    // 0.01 ... 100; 1: off
  double frequency_penalty = 0;     // -100 ... 100, for each time the token occurs
  double presence_penalty = 0;      // -100 ... 100, once for a token that occurs
  std::int32_t repeat_last_n = -1;  // how many of the latest tokens the three penalties see; -1: all, 0: none

  double temperature = 1;   // 0 ... 100; 0: always the most likely token
  std::int32_t top_k = 64;  // 0: off
  double top_p = 0.95;      // 0 ... 1; 1: off
  double min_p = 0;         // 0 ... 1; 0: off

  std::optional<std::uint64_t> seed;  // of the Random that sample() is given; none: fresh_seed()
};

// Throws Error(kBadInput) that names parameter, value and range. vocab: number of tokens of the model.
void validate(const SamplingParams& params, std::size_t vocab);

}  // namespace carat
