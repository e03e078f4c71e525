// The engine with an assistant: whoever guesses, and however well, an answer is what it is without.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "engine/answer_constraint.h"
#include "engine/tiny_engine.h"

namespace carat {
namespace {

// Guesses by what is known to come: of `text`, where it is at that position, each token with this chance, otherwise
// any.
class Oracle final : public TinyRunner {
 public:
  Oracle(std::size_t chunk, double chance) : TinyRunner("text-e2b", chunk), chance_(chance) {}

  void know(Ids text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }
  bool can_guess() const override { return true; }
  std::vector<std::int32_t> guess(KvCache& cache, std::size_t position, std::int32_t /*token*/,
                                  std::span<const float> state, std::size_t count) override {
    EXPECT_EQ(state.size(), config().hidden);
    EXPECT_LE(position + count + 1, cache.options().context);
    const std::lock_guard lock(mutex_);
    Ids guesses;
    for (std::size_t i = position + 1; i <= position + count; ++i) {
      const bool is_right = i < text_.size() && std::uniform_real_distribution(0.0, 1.0)(random_) < chance_;
      guesses.push_back(is_right ? text_[i] : static_cast<std::int32_t>(random_() % 500));
    }
    return guesses;
  }

 private:
  double chance_;
  std::mutex mutex_;  // guards the others
  Ids text_;
  std::mt19937 random_{1};
};

EngineOptions options_of(std::size_t kv_budget = std::size_t{64} << 20, std::size_t chunk = 64) {
  EngineOptions options;
  options.context = 2048;
  options.kv_budget = kv_budget;
  options.chunk = chunk;
  options.constraints = grammar_constraints();
  return options;
}

std::unique_ptr<Engine> engine_with(const std::string& assistant, const EngineOptions& options = options_of()) {
  return std::make_unique<Engine>(std::make_unique<TinyRunner>("text-e2b", options.chunk, assistant), options);
}

struct OracleEngine {
  explicit OracleEngine(double chance, const EngineOptions& options = options_of()) {
    auto runner = std::make_unique<Oracle>(options.chunk, chance);
    oracle = runner.get();
    engine = std::make_unique<Engine>(std::move(runner), options);
  }
  Oracle* oracle;  // the engine's
  std::unique_ptr<Engine> engine;
};

Ids joined(Ids first, const Ids& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Ids said_by(const WholeAnswer& answer) {
  return ids_of(answer.choices[0].logprobs);
}

class EngineGuesses : public testing::TestWithParam<const char*> {};

// Greedy and drawn, long enough to leave windows and pages behind, alone and in the cache of the one before.
TEST_P(EngineGuesses, AnswersAreThoseWithoutAnAssistant) {
  const auto plain = engine_with("");
  const auto guessing = engine_with(GetParam());
  std::mt19937 random(3);
  Ids prompt = random_ids(random, 90);
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    Request request = request_of(prompt, seed, 120);
    if (seed % 2 == 0) request.sampling.temperature = 0;
    request.sampling.repetition_penalty = 1.1;
    const WholeAnswer expected = answer_whole(*plain, request);
    const WholeAnswer found = answer_whole(*guessing, request);
    ASSERT_EQ(found.choices[0].finished.error, "");
    EXPECT_EQ(said_by(found), said_by(expected)) << seed;
    EXPECT_EQ(found.usage.cached_tokens, expected.usage.cached_tokens) << seed;
    for (std::size_t i = 0; i < 120; ++i) {
      ASSERT_EQ(found.choices[0].logprobs[i].logprob, expected.choices[0].logprobs[i].logprob) << i;
    }
    prompt = joined(joined(prompt, said_by(expected)), random_ids(random, 1 + random() % 40));
  }
  EXPECT_GT(guessing->status().guessed_tokens, 0U);
  EXPECT_EQ(plain->status().guessed_tokens, 0U);
}
INSTANTIATE_TEST_SUITE_P(Drafters, EngineGuesses, testing::Values("model-plain", "model-ordered"),
                         [](const auto& of) { return std::string(of.param).substr(6); });

TEST(EngineGuesses, GoodOnesSaveSteps) {
  for (const double chance : {0.0, 0.5, 1.0}) {
    const auto plain = engine_with("");
    const OracleEngine guessing(chance);
    std::mt19937 random(5);
    const Ids prompt = random_ids(random, 50);
    const Request request = request_of(prompt, 1, 300);
    const Ids expected = said_by(answer_whole(*plain, request));
    guessing.oracle->know(joined(prompt, expected));
    const WholeAnswer found = answer_whole(*guessing.engine, request);
    EXPECT_EQ(said_by(found), expected);
    EXPECT_LE(found.usage.accepted_guesses, found.usage.guessed_tokens);
    while (guessing.engine->status().running > 0) std::this_thread::yield();
    const EngineStatus status = guessing.engine->status();
    EXPECT_EQ(status.guessed_tokens, found.usage.guessed_tokens);
    EXPECT_EQ(status.accepted_guesses, found.usage.accepted_guesses);
    // A token a step, but for those that were guessed; the prompt takes one, and gives the first.
    EXPECT_EQ(status.steps + found.usage.accepted_guesses, 300U);
    if (chance == 1) {
      EXPECT_EQ(found.usage.accepted_guesses, found.usage.guessed_tokens);
      EXPECT_GT(found.usage.accepted_guesses, 0U);  // how many, time decides
    }
  }
}

// Where an answer ends: its length, a stop text, the context, a form; a thought's budget is in test_assistant.py.
TEST(EngineGuesses, EndsAreWhereTheyAreWithout) {
  const auto plain = engine_with("");
  const OracleEngine guessing(0.9);
  std::mt19937 random(7);
  const Ids prompt = random_ids(random, 40);
  const Ids text = joined(prompt, said_by(answer_whole(*plain, request_of(prompt, 1, 2048))));
  const auto expect_same = [&](const Request& request) {
    const WholeAnswer expected = answer_whole(*plain, request);
    guessing.oracle->know(joined(std::get<TokenPrompt>(request.prompt).ids, said_by(expected)));
    const WholeAnswer found = answer_whole(*guessing.engine, request);
    EXPECT_EQ(said_by(found), said_by(expected));
    EXPECT_EQ(found.choices[0].content, expected.choices[0].content);
    EXPECT_EQ(found.choices[0].finished.reason, expected.choices[0].finished.reason);
    EXPECT_EQ(found.choices[0].finished.completion_tokens, expected.choices[0].finished.completion_tokens);
    return expected.choices[0].finished.reason;
  };
  for (const std::size_t tokens : {1U, 2U, 3U, 9U}) {
    EXPECT_EQ(expect_same(request_of(prompt, 1, tokens)), FinishReason::kLength);
  }
  const Ids nearly(text.begin(), text.begin() + 2000);
  EXPECT_EQ(expect_same(request_of(nearly, 1, 0)), FinishReason::kLength);  // the context ends it
  Request request = request_of(prompt, 1, 200);
  request.limits.stop.emplace_back(guessing.engine->tokenizer().vocab().piece(text[90]));
  expect_same(request);
  request = request_of(prompt, 1, 200);
  request.limits.ignores_end = false;
  request.format.kind = FormatKind::kRegex;
  request.format.text = "[a-c]{50}(x|y)";
  EXPECT_EQ(expect_same(request), FinishReason::kStop);
  EXPECT_GT(guessing.engine->status().accepted_guesses, 0U);
}

// While several are answered nobody guesses, whatever memory there is; the answers are those of each alone.
TEST(EngineGuesses, NotWithSeveralAtOnce) {
  std::mt19937 random(9);
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 8; ++i) requests.push_back(request_of(random_ids(random, 1 + random() % 300), i, 40));
  requests[3].choices = 3;
  std::vector<WholeAnswer> alone;
  const auto plain = engine_with("");
  for (const Request& request : requests) alone.push_back(answer_whole(*plain, request));
  const std::size_t one = KvCache::bytes_needed(tiny_model("text-e2b")->config().decoder,
                                                {DType::kF16, DType::kF16, 2048, 64, StepRunner::kGuessSlack});
  for (const std::size_t budget : {std::size_t{64} << 20, one}) {
    const auto guessing = engine_with("model-plain", options_of(budget));
    std::vector<std::future<WholeAnswer>> answers;
    for (const Request& request : requests) answers.push_back(ask(*guessing, request));
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const WholeAnswer answer = answers[i].get();
      for (std::size_t choice = 0; choice < answer.choices.size(); ++choice) {
        EXPECT_EQ(answer.choices[choice].finished.error, "");
        EXPECT_EQ(ids_of(answer.choices[choice].logprobs), ids_of(alone[i].choices[choice].logprobs)) << i;
      }
    }
    const EngineStatus status = guessing->status();
    EXPECT_LE(status.kv_bytes, budget);
  }

  const OracleEngine two(1);
  Request both = request_of(random_ids(random, 30), 1, 60);
  both.choices = 2;  // they begin and end together
  EXPECT_EQ(answer_whole(*two.engine, both).usage.guessed_tokens, 0U);
}

// A client that leaves in the middle of a round, and the next that finds what was computed in the cache.
TEST(EngineGuesses, ACancelledAnswerLeavesNothingWrong) {
  const auto plain = engine_with("");
  std::mt19937 random(11);
  for (std::size_t round = 0; round < 10; ++round) {
    const OracleEngine guessing(0.7);
    const Ids prompt = random_ids(random, 60);
    Request request = request_of(prompt, round, 1500);
    const Ids expected = said_by(answer_whole(*plain, request));
    guessing.oracle->know(joined(prompt, expected));
    const std::size_t leave_after = 20 + random() % 60;
    std::promise<WholeAnswer> promise;
    WholeAnswer whole;
    std::mutex mutex;  // guards handle
    AnswerHandle handle;
    {
      const std::lock_guard lock(mutex);
      handle = guessing.engine->submit(request, [&](Event&& event) {
        const bool is_over = whole.add(std::move(event));
        if (!whole.choices.empty() && whole.choices[0].logprobs.size() == leave_after) {
          const std::lock_guard inner(mutex);
          handle.cancel();
        }
        if (is_over) promise.set_value(std::move(whole));
      });
    }
    const WholeAnswer answer = promise.get_future().get();
    EXPECT_EQ(answer.choices[0].finished.reason, FinishReason::kCancelled);
    const Ids said = said_by(answer);
    ASSERT_EQ(said.size(), leave_after);  // not one token more
    EXPECT_TRUE(std::equal(said.begin(), said.end(), expected.begin()));

    const Request next = request_of(joined(joined(prompt, said), random_ids(random, 20)), round, 30);
    Request uncached = next;
    uncached.uses_prefix_cache = false;
    const WholeAnswer found = answer_whole(*guessing.engine, next);
    EXPECT_EQ(said_by(found), said_by(answer_whole(*plain, uncached)));
    EXPECT_GE(found.usage.cached_tokens, prompt.size() + said.size() - 1);
  }
}

}  // namespace
}  // namespace carat
