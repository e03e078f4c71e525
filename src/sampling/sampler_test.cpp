#include "sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/golden.h"
#include "base/json.h"

namespace carat {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Everything off: probabilities are softmax(logits).
SamplingParams plain() {
  SamplingParams params;
  params.top_k = 0;
  params.top_p = 1;
  return params;
}

SamplingParams with_temperature(double temperature) {
  SamplingParams params = plain();
  params.temperature = temperature;
  return params;
}

// Roughly as a model's: the sum of twelve uniform numbers is near a normal distribution of variance 1.
std::vector<float> random_logits(std::size_t vocab, std::uint64_t seed, double spread = 4) {
  Random random(seed);
  std::vector<float> logits(vocab);
  for (float& logit : logits) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += random.uniform();
    logit = static_cast<float>(spread * sum);
  }
  return logits;
}

std::vector<float> dense(std::span<const Sampled> kept, std::size_t vocab) {
  std::vector<float> probabilities(vocab);
  for (const Sampled& candidate : kept) {
    probabilities[static_cast<std::size_t>(candidate.token)] = candidate.probability;
  }
  return probabilities;
}

std::vector<std::int32_t> tokens_of(std::span<const Sampled> kept) {
  std::vector<std::int32_t> tokens;
  for (const Sampled& candidate : kept) tokens.push_back(candidate.token);
  return tokens;
}

std::vector<std::int32_t> filtered_tokens(const SamplingParams& params, const std::vector<float>& logits,
                                          const std::vector<std::int32_t>& history = {}) {
  Sampler sampler(params, logits.size());
  return tokens_of(sampler.filtered(logits, history));
}

// --- Against the reference -------------------------------------------------------------------------------------------

SamplingParams params_of(const json::object& object) {
  SamplingParams params = plain();
  const std::string where = "runs.json";
  const auto read = [&](std::string_view key, double& value) {
    value = find_number(object, key, where).value_or(value);
  };
  read("temperature", params.temperature);
  read("top_p", params.top_p);
  read("min_p", params.min_p);
  read("repetition_penalty", params.repetition_penalty);
  params.top_k = static_cast<std::int32_t>(find_integer(object, "top_k", where).value_or(0));
  return params;
}

TEST(SamplerGolden, FiltersAsTransformers) {
  const std::filesystem::path folder = std::filesystem::path(CARAT_TEST_DATA) / "golden" / "sampling";
  const golden::Tensors inputs = golden::load(folder / "inputs.safetensors");
  const golden::Tensors expected = golden::load(folder / "expected.safetensors");
  const std::size_t vocab = inputs.shape("logits").at(1);
  const json::value runs = parse_json_file(folder / "runs.json");

  ASSERT_EQ(runs.as_array().size(), expected.size());
  for (const json::value& run : runs.as_array()) {
    const std::string name(run.at("tensor").as_string());
    SCOPED_TRACE(name + " " + json::serialize(run.at("parameters")));
    const auto row = run.at("logits_row").to_number<std::size_t>();
    const auto logits = std::span(inputs.floats("logits")).subspan(row * vocab, vocab);

    Sampler sampler(params_of(run.at("parameters").as_object()), vocab);
    const auto kept = sampler.filtered(logits, inputs.ints("history"));
    EXPECT_EQ(kept.size(), run.at("kept").to_number<std::size_t>());
    // The bound of case.json: the reference adds and divides in float32.
    EXPECT_EQ(golden::mismatch(dense(kept, vocab), expected.floats(name), {.absolute = 1e-5}), "");
  }
}

// --- Against the definition: every filter once more, on a fully sorted list ------------------------------------------

// top-k, top-p and min-p as sampler.h words them, without any of its shortcuts.
std::vector<std::int32_t> filtered_by_definition(const SamplingParams& params, const std::vector<float>& logits) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](std::int32_t token) { return static_cast<double>(logits[static_cast<std::size_t>(token)]); };
  std::ranges::stable_sort(order, [&](auto a, auto b) { return logit(a) > logit(b); });
  std::erase_if(order, [&](auto token) { return std::isinf(logit(token)); });

  const auto k = static_cast<std::size_t>(params.top_k);
  if (k > 0 && k < order.size()) {
    const double threshold = logit(order[k - 1]);
    std::erase_if(order, [&](auto token) { return logit(token) < threshold; });
  }
  const auto weight = [&](auto token) { return std::exp((logit(token) - logit(order[0])) / params.temperature); };
  double total = 0;
  for (const auto token : order) total += weight(token);
  std::vector<std::int32_t> kept;
  double before = 0;
  for (const auto token : order) {
    const bool is_kept = params.top_p == 1 || kept.empty() || before < params.top_p * total;
    if (is_kept && weight(token) >= params.min_p) kept.push_back(token);
    before += weight(token);
  }
  return kept;
}

TEST(Sampler, KeepsWhatTheDefinitionKeeps) {
  const std::vector<std::int32_t> top_ks{0, 1, 2, 63, 500, 2999, 3000, 100000};
  const std::vector<double> top_ps{0, 0.1, 0.6, 0.95, 0.9999, 1};
  const std::vector<double> min_ps{0, 0.05, 1};
  for (const double spread : {0.0, 0.05, 1.0, 6.0}) {  // from all equal to peaked
    std::vector<float> logits = random_logits(3000, 11, spread);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (i % 5 == 0) logits[i] = std::round(logits[i]);  // ties
      if (i % 7 == 0) logits[i] = -kInfinity;             // a mask
    }
    for (const auto top_k : top_ks) {
      for (const double top_p : top_ps) {
        for (const double min_p : min_ps) {
          SCOPED_TRACE(str("spread ", spread, " top_k ", top_k, " top_p ", top_p, " min_p ", min_p));
          SamplingParams params;
          params.top_k = top_k;
          params.top_p = top_p;
          params.min_p = min_p;
          params.temperature = 0.9;
          auto expected = filtered_by_definition(params, logits);
          if (top_k == 0 && top_p == 1) std::ranges::sort(expected);
          ASSERT_EQ(filtered_tokens(params, logits), expected);
        }
      }
    }
  }
}

TEST(Sampler, AWholeVocabularyIsKeptAsTheDefinitionKeepsIt) {
  constexpr std::size_t kGemmaVocab = 262'144;
  const std::vector<float> logits = random_logits(kGemmaVocab, 5, 2);
  for (const double top_p : {0.5, 0.95}) {
    for (const std::int32_t top_k : {0, 64, 50'000}) {
      SamplingParams params;
      params.top_k = top_k;
      params.top_p = top_p;
      EXPECT_EQ(filtered_tokens(params, logits), filtered_by_definition(params, logits));
    }
  }
}

// --- Properties ------------------------------------------------------------------------------------------------------

TEST(Sampler, ProbabilitiesSumToOneAndFall) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const std::vector<float> logits = random_logits(5000, seed);
    Sampler sampler(SamplingParams{}, logits.size());
    const auto kept = sampler.filtered(logits, {});
    double sum = 0;
    for (const Sampled& candidate : kept) sum += static_cast<double>(candidate.probability);
    EXPECT_NEAR(sum, 1, 64 * 6e-8);  // at most 64 values, each rounded to float
    EXPECT_TRUE(std::ranges::is_sorted(kept, std::greater<>(), &Sampled::probability));
  }
}

TEST(Sampler, ALargerTopKKeepsMore) {
  const std::vector<float> logits = random_logits(1000, 4);
  std::vector<std::int32_t> smaller;
  for (std::int32_t k = 1; k < 1000; k += 37) {
    SamplingParams params = plain();
    params.top_k = k;
    const auto larger = filtered_tokens(params, logits);
    ASSERT_EQ(larger.size(), static_cast<std::size_t>(k));
    ASSERT_TRUE(std::equal(smaller.begin(), smaller.end(), larger.begin()));
    smaller = larger;
  }
}

TEST(Sampler, TopKKeepsTiesWithTheLast) {
  SamplingParams params = plain();
  params.top_k = 2;
  EXPECT_EQ(filtered_tokens(params, {1, 3, 2, 0, 2}), (std::vector<std::int32_t>{1, 2, 4}));
}

TEST(Sampler, AtTemperatureZeroTheLargestWinsAndOfEqualsTheLowestId) {
  Sampler sampler(with_temperature(0), 5);
  Random random(1);
  const std::vector<float> logits{1, 7, 3, 7, -kInfinity};
  const Sampled sampled = sampler.sample(logits, {}, random);
  EXPECT_EQ(sampled.token, 1);
  EXPECT_EQ(sampled.probability, 1.0F);
  EXPECT_EQ(random.next(), Random(1).next()) << "no number of the stream was to be taken";
}

TEST(Sampler, ALowTemperatureGoesOverIntoTheLargest) {
  const std::vector<float> logits = random_logits(1000, 8);
  const auto greedy = filtered_tokens(with_temperature(0), logits);
  EXPECT_EQ(filtered_tokens(with_temperature(1e-9), logits), greedy);
  EXPECT_EQ(filtered_tokens(with_temperature(std::numeric_limits<double>::denorm_min()), logits), greedy);
}

TEST(Sampler, TheSameSeedGivesTheSameTokens) {
  const std::vector<float> logits = random_logits(2000, 3, 1);
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler(SamplingParams{}, logits.size());
    Random random(seed);
    std::vector<std::int32_t> tokens(50);
    for (std::int32_t& token : tokens) token = sampler.sample(logits, {}, random).token;
    return tokens;
  };
  EXPECT_EQ(draw(42), draw(42));
  EXPECT_NE(draw(42), draw(43));
}

TEST(Sampler, TheStreamIsFixedForEver) {
  // Four tokens, a quarter each: token = floor(4u), u from the published sequence that random_test.cpp checks.
  Sampler sampler(plain(), 4);
  const std::vector<float> logits(4, 0.5F);
  Random random(1234567);
  std::vector<std::int32_t> tokens(5);
  for (std::int32_t& token : tokens) token = sampler.sample(logits, {}, random).token;
  EXPECT_EQ(tokens, (std::vector<std::int32_t>{1, 0, 2, 0, 3}));
}

TEST(Sampler, DrawsAsOftenAsTheProbabilitiesSay) {
  constexpr int kDraws = 200'000;
  const std::vector<float> logits{0, 1, 2, 3, -1, 2.5F, 1, 0.5F, -kInfinity, -20};
  for (const bool is_sorted : {false, true}) {
    SamplingParams params = plain();
    params.top_k = is_sorted ? 7 : 0;
    Sampler sampler(params, logits.size());
    const std::vector<float> probabilities = dense(sampler.filtered(logits, {}), logits.size());
    Random random(2026);
    std::vector<double> counts(logits.size());
    for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(sampler.sample(logits, {}, random).token)];

    double chi_square = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const double expected = kDraws * static_cast<double>(probabilities[i]);
      if (expected < 5) {  // too rare for the test's approximation
        EXPECT_LE(counts[i], probabilities[i] > 0 ? 5 : 0);
        continue;
      }
      chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi_square, 24.3);  // 99.9 % of chi-square with 7 degrees of freedom; the seed is fixed
  }
}

// --- Bias and penalties ----------------------------------------------------------------------------------------------

TEST(Sampler, PenaltiesAndBiasFollowTheirFormulas) {
  SamplingParams params = plain();
  params.logit_bias = {{2, 1.5}, {2, 0.5}};
  params.repetition_penalty = 2;
  params.frequency_penalty = 0.25;
  params.presence_penalty = 0.5;
  const std::vector<float> logits{1, -1, 2, 0, 3};
  const std::vector<std::int32_t> history{1, 2, 1, 1, -1, 5, 99};  // the last three are not tokens
  const std::vector<float> adjusted{1, -1 * 2 - 3 * 0.25F - 0.5F, (2 + 2) / 2.0F - 0.25F - 0.5F, 0, 3};

  Sampler sampler(params, logits.size());
  Sampler unbiased(plain(), logits.size());
  const auto expected = dense(unbiased.filtered(adjusted, {}), logits.size());
  EXPECT_EQ(dense(sampler.filtered(logits, history), logits.size()), expected);
  EXPECT_EQ(dense(sampler.filtered(logits, history), logits.size()), expected) << "a second call must not add up";
}

TEST(Sampler, PenaltiesSeeTheLatestTokensOnly) {
  SamplingParams params = with_temperature(0);
  params.presence_penalty = 10;
  const std::vector<float> logits{3, 2, 1};
  const std::vector<std::int32_t> history{0, 1, 1};
  const std::vector<std::int32_t> expected_by_n{0, 0, 0, 2, 2};  // repeat_last_n = 0, 1, ...
  for (std::size_t n = 0; n < expected_by_n.size(); ++n) {
    params.repeat_last_n = static_cast<std::int32_t>(n);
    EXPECT_EQ(filtered_tokens(params, logits, history).at(0), expected_by_n[n]) << n;
  }
  params.repeat_last_n = -1;
  EXPECT_EQ(filtered_tokens(params, logits, history).at(0), 2);
}

TEST(Sampler, ABiasOfMinusInfinityBans) {
  SamplingParams params;
  params.logit_bias = {{1, -std::numeric_limits<double>::infinity()}};
  EXPECT_EQ(filtered_tokens(params, {1, 50, 1}), (std::vector<std::int32_t>{0, 2}));
}

// --- Hostile values --------------------------------------------------------------------------------------------------

std::string complaint(const SamplingParams& params, const std::vector<float>& logits, std::size_t vocab) {
  try {
    Sampler sampler(params, vocab);
    sampler.filtered(logits, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    return error.what();
  }
  return "";
}

TEST(Sampler, AMaskBansAsMinusInfinityDoes) {
  constexpr std::size_t kVocab = 1000;
  Random random(5);
  for (const std::size_t allowed : {std::size_t{1}, std::size_t{3}, std::size_t{70}, std::size_t{600}, kVocab}) {
    std::vector<float> logits = random_logits(kVocab, allowed);
    TokenMask mask(kVocab);
    while (mask.allowed_count() < allowed) mask.allow(static_cast<std::int32_t>(random.next() % kVocab));
    std::vector<float> banned = logits;
    for (std::size_t i = 0; i < kVocab; ++i) {
      if (!mask.allows(static_cast<std::int32_t>(i))) banned[i] = -kInfinity;
    }
    SamplingParams with_penalties;
    with_penalties.repetition_penalty = 1.5;
    for (const SamplingParams& params : {SamplingParams(), plain(), with_temperature(0), with_penalties}) {
      Sampler masked(params, kVocab);
      Sampler expected(params, kVocab);
      const std::vector<std::int32_t> history{1, 2, 3, 3};
      const std::span<const Sampled> kept = masked.filtered(logits, history, &mask);
      const std::span<const Sampled> right = expected.filtered(banned, history);
      ASSERT_EQ(tokens_of(kept), tokens_of(right)) << allowed;
      EXPECT_EQ(dense(kept, kVocab), dense(right, kVocab)) << allowed;
      Random a(7);
      Random b(7);
      EXPECT_EQ(masked.sample(logits, history, a, &mask).token, expected.sample(banned, history, b).token);
    }
  }
}

TEST(Sampler, WhatAMaskBansIsNotLookedAt) {
  std::vector<float> logits{0, std::numeric_limits<float>::quiet_NaN(), 1, kInfinity};
  TokenMask mask(4);
  mask.allow(0);
  mask.allow(2);
  mask.allow(3);
  mask.ban(3);
  EXPECT_EQ(tokens_of(Sampler(with_temperature(0), 4).filtered(logits, {}, &mask)), (std::vector<std::int32_t>{2}));
  EXPECT_THROW(Sampler(plain(), 4).filtered(logits, {}), Error);
  EXPECT_THROW(Sampler(plain(), 4).filtered(std::vector<float>(4), {}, std::make_unique<TokenMask>(4).get()), Error);
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const double temperature : {0.0, 1.0}) {
    const SamplingParams params = with_temperature(temperature);
    EXPECT_EQ(complaint(params, {1, kNan, 2}, 3).rfind("the logit of token 1 is NaN, expected a number", 0), 0U);
    EXPECT_EQ(complaint(params, {1, 2, kInfinity}, 3).rfind("the logit of token 2 is infinite", 0), 0U);
    EXPECT_EQ(complaint(params, {-kInfinity, -kInfinity}, 2),
              "all 2 tokens are banned, expected at least one that is not");
    EXPECT_EQ(complaint(params, {1, 2}, 3), "the sampler got 2 logits, expected 3");
  }
}

TEST(Sampler, RefusesBadParametersAtConstruction) {
  EXPECT_THROW(Sampler(with_temperature(-1), 3), Error);
  SamplingParams params;
  params.logit_bias = {{3, 1}};
  EXPECT_THROW(Sampler(params, 3), Error);
}

TEST(Sampler, StandsTheLargestFloats) {
  constexpr float kMax = std::numeric_limits<float>::max();
  for (const double temperature : {0.0, 1e-300, 1.0, 100.0}) {
    SamplingParams params;
    params.temperature = temperature;
    EXPECT_EQ(filtered_tokens(params, {-kMax, kMax, -kMax}), (std::vector<std::int32_t>{1}));
    EXPECT_EQ(filtered_tokens(params, {-kInfinity, -kMax}), (std::vector<std::int32_t>{1}));
  }
}

}  // namespace
}  // namespace carat
