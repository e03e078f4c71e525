#include "sampling/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "base/error.h"

namespace carat {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// visit(i) for every token i < size that the mask allows, in rising order.
template <typename Visit>
void for_each_token(std::size_t size, const TokenMask* mask, const Visit& visit) {
  if (mask == nullptr) {
    for (std::size_t i = 0; i < size; ++i) visit(i);
    return;
  }
  const std::span<const std::uint32_t> words = mask->words();
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (std::uint32_t word = words[w]; word != 0; word &= word - 1) {
      const std::size_t i = w * 32 + static_cast<std::size_t>(std::countr_zero(word));
      if (i < size) visit(i);
    }
  }
}

struct Largest {
  std::size_t token = 0;  // the lowest of equals
  float logit = -kInfinity;
};

// The largest of the logits that the mask allows, which are checked on the way.
Largest largest_logit(std::span<const float> logits, const TokenMask* mask) {
  Largest largest;
  for_each_token(logits.size(), mask, [&](std::size_t i) {
    const float x = logits[i];
    if (!(x < kInfinity)) {
      throw Error(ErrorKind::kInternal,
                  str("the logit of token ", i, " is ", std::isnan(x) ? "NaN" : "infinite",
                      ", expected a number: the model's weights are damaged, or a computation overflowed. Check the "
                      "model file's checksum; if it is right, try the kernels named \"reference\""));
    }
    if (x > largest.logit) largest = {i, x};
  });
  if (largest.logit == -kInfinity) {
    throw Error(ErrorKind::kInternal,
                str("all ", logits.size(), " tokens are banned, expected at least one that is not"));
  }
  return largest;
}

}  // namespace

Sampler::Sampler(SamplingParams params, std::size_t vocab) : params_(std::move(params)), vocab_(vocab) {
  validate(params_, vocab_);
}

std::span<const Sampled> Sampler::filtered(std::span<const float> logits, std::span<const std::int32_t> history,
                                           const TokenMask* mask) {
  if (logits.size() != vocab_) {
    throw Error(ErrorKind::kInternal, str("the sampler got ", logits.size(), " logits, expected ", vocab_));
  }
  logits = adjusted(logits, history);
  const Largest largest = largest_logit(logits, mask);
  filtered_.clear();
  if (params_.temperature == 0) {
    filtered_.push_back({static_cast<std::int32_t>(largest.token), 1.0F});
    return filtered_;
  }
  collect(logits, mask, top_k_threshold(logits, mask), largest.logit);
  keep_top_p();
  keep_min_p();

  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  for (const Candidate& candidate : candidates_) {
    const auto probability = static_cast<float>(candidate.weight / total);
    if (probability > 0) filtered_.push_back({candidate.token, probability});
  }
  return filtered_;
}

Sampled Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> history, Random& random,
                        const TokenMask* mask) {
  const std::span<const Sampled> kept = filtered(logits, history, mask);
  if (params_.temperature == 0) return kept.front();
  double total = 0;  // 1 but for rounding
  for (const Sampled& candidate : kept) total += static_cast<double>(candidate.probability);
  double left = random.uniform() * total;
  for (const Sampled& candidate : kept) {
    left -= static_cast<double>(candidate.probability);
    if (left < 0) return candidate;
  }
  return kept.back();  // rounding used up the last of it
}

// Steps 1 to 3. The logits themselves where there is nothing to do.
std::span<const float> Sampler::adjusted(std::span<const float> logits, std::span<const std::int32_t> history) {
  const bool has_penalties =
      params_.repetition_penalty != 1 || params_.frequency_penalty != 0 || params_.presence_penalty != 0;
  if (!has_penalties && params_.logit_bias.empty()) return logits;

  adjusted_.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : params_.logit_bias) {
    float& logit = adjusted_[static_cast<std::size_t>(token)];
    logit = static_cast<float>(static_cast<double>(logit) + bias);
  }
  if (has_penalties) {
    const auto last_n = static_cast<std::size_t>(params_.repeat_last_n);
    const bool sees_all = params_.repeat_last_n < 0 || history.size() <= last_n;
    apply_penalties(sees_all ? history : history.last(last_n));
  }
  return adjusted_;
}

void Sampler::apply_penalties(std::span<const std::int32_t> history) {
  const auto is_token = [this](std::int32_t id) { return id >= 0 && static_cast<std::size_t>(id) < vocab_; };
  counts_.resize(vocab_);
  for (const std::int32_t id : history) {
    if (is_token(id)) ++counts_[static_cast<std::size_t>(id)];
  }
  for (const std::int32_t id : history) {
    if (!is_token(id)) continue;
    const std::uint32_t count = std::exchange(counts_[static_cast<std::size_t>(id)], 0);
    if (count == 0) continue;  // has had its penalty
    float& stored = adjusted_[static_cast<std::size_t>(id)];
    double logit = static_cast<double>(stored);
    logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
    logit -= params_.frequency_penalty * count + params_.presence_penalty;
    stored = static_cast<float>(logit);
  }
}

// The k-th largest logit; below all that are not banned when top-k is off or there are fewer.
float Sampler::top_k_threshold(std::span<const float> logits, const TokenMask* mask) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  const auto k = static_cast<std::size_t>(params_.top_k);
  if (k == 0 || k >= logits.size()) return kLowest;

  // When 2k values have come together, the smaller half goes: in all, O(vocab) steps for any k. From then on only
  // what beats the k-th of those seen is looked at, which for a usual k is hardly any.
  const auto keep_largest = [&] {
    std::nth_element(largest_.begin(), largest_.begin() + static_cast<std::ptrdiff_t>(k - 1), largest_.end(),
                     std::greater<>());
    largest_.resize(k);
    return largest_.back();
  };
  largest_.clear();
  float threshold = kLowest;
  for_each_token(logits.size(), mask, [&](std::size_t i) {
    if (!(logits[i] > threshold)) return;
    largest_.push_back(logits[i]);
    if (largest_.size() == 2 * k) threshold = keep_largest();
  });
  return largest_.size() < k ? kLowest : keep_largest();
}

void Sampler::collect(std::span<const float> logits, const TokenMask* mask, float threshold, float largest) {
  candidates_.clear();
  for_each_token(logits.size(), mask, [&](std::size_t i) {
    if (logits[i] < threshold) return;
    const double distance = static_cast<double>(logits[i]) - static_cast<double>(largest);
    candidates_.push_back({static_cast<std::int32_t>(i), logits[i], std::exp(distance / params_.temperature)});
  });
}

void Sampler::keep_top_p() {
  const auto is_likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  if (params_.top_p == 1) {
    if (params_.top_k != 0) std::ranges::sort(candidates_, is_likelier);
    return;
  }
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;

  // Candidates lighter than (1 - top_p) / n of the total weigh less than 1 - top_p of it together: all of them go, and
  // with them most of a vocabulary, before anything is sorted. The heaviest, not below the mean, stays.
  const double floor = (1 - params_.top_p) * total / static_cast<double>(candidates_.size());
  std::erase_if(candidates_, [floor](const Candidate& candidate) { return candidate.weight < floor; });

  // The rest is sorted no further than it is kept, in steps that grow.
  constexpr std::size_t kFirstStep = 128;
  constexpr std::size_t kGrowth = 8;
  std::size_t sorted = 0;
  std::size_t kept = 0;
  double before = 0;  // weight of the first `kept`
  while (kept == sorted && sorted < candidates_.size()) {
    const std::size_t next = std::min(candidates_.size(), std::max(kFirstStep, sorted * kGrowth));
    const auto begin = candidates_.begin() + static_cast<std::ptrdiff_t>(sorted);
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(next);
    if (end != candidates_.end()) std::nth_element(begin, end, candidates_.end(), is_likelier);
    std::sort(begin, end, is_likelier);
    sorted = next;
    while (kept < sorted && (kept == 0 || before < params_.top_p * total)) before += candidates_[kept++].weight;
  }
  candidates_.resize(kept);
}

void Sampler::keep_min_p() {
  // The largest weight is exp(0) = 1.
  std::erase_if(candidates_, [this](const Candidate& candidate) { return candidate.weight < params_.min_p; });
}

}  // namespace carat
