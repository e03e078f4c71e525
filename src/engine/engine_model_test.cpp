// The engine over tiny models: what an answer says does not depend on who else is answered, on what is cached, or on
// how little memory there is (KNOWN_PROBLEMS rows 4-6, 36-39).
#include <gtest/gtest.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <optional>
#include <random>

#include "base/golden.h"
#include "base/mapping_guard.h"
#include "engine/answer_constraint.h"
#include "engine/engine.h"
#include "engine/step_runner.h"
#include "engine/tiny_engine.h"

namespace carat {
namespace {

struct Settings {
  std::string model = "text-e2b";
  std::size_t kv_budget = std::size_t{64} << 20;
  std::size_t max_running = 16;
  std::size_t chunk = 64;
};

std::unique_ptr<Engine> make_engine(const Settings& settings) {
  EngineOptions options;
  options.context = 2048;
  options.kv_budget = settings.kv_budget;
  options.max_running = settings.max_running;
  options.chunk = settings.chunk;
  options.constraints = grammar_constraints();
  return std::make_unique<Engine>(std::make_unique<TinyRunner>(settings.model, settings.chunk), options);
}

// Prompts that begin alike and part at random places, also within a page and within a window.
std::vector<Ids> related_prompts(std::mt19937& random, std::size_t n) {
  std::vector<Ids> prompts{random_ids(random, 700)};
  while (prompts.size() < n) {
    Ids prompt = prompts[random() % prompts.size()];
    prompt.resize(1 + random() % prompt.size());
    const Ids more = random_ids(random, random() % 120);
    prompt.insert(prompt.end(), more.begin(), more.end());
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

class EngineModel : public testing::TestWithParam<const char*> {};

TEST_P(EngineModel, AnswersDoNotDependOnTheBatchTheCacheOrTheMemory) {
  constexpr std::size_t kTokens = 12;
  std::mt19937 random(7);
  const std::vector<Ids> prompts = related_prompts(random, 10);
  std::vector<Ids> alone;
  {
    const auto engine = make_engine({GetParam()});
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      Request request = request_of(prompts[i], i, kTokens);
      request.uses_prefix_cache = false;
      const WholeAnswer answer = answer_whole(*engine, std::move(request));
      ASSERT_EQ(answer.choices[0].finished.reason, FinishReason::kLength);
      EXPECT_EQ(answer.usage.cached_tokens, 0U);
      EXPECT_EQ(answer.usage.cache_miss, CacheMiss::kOff);
      alone.push_back(ids_of(answer.choices[0].logprobs));
      ASSERT_EQ(alone.back().size(), kTokens);
    }
  }
  // The last budget holds hardly more than one sequence: others are preempted and computed again.
  const std::size_t one =
      KvCache::bytes_needed(tiny_model(GetParam())->config().decoder, {DType::kF16, DType::kF16, 2048, 64, 0});
  for (const Settings& settings :
       {Settings{GetParam()}, Settings{GetParam(), one * 5 / 4}, Settings{GetParam(), one, 4, 24}}) {
    const auto engine = make_engine(settings);
    for (std::size_t round = 0; round < 3; ++round) {
      std::vector<std::size_t> order(prompts.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::ranges::shuffle(order, random);
      std::map<std::size_t, std::future<WholeAnswer>> answers;
      for (const std::size_t i : order) {
        answers[i] = ask(*engine, request_of(prompts[i], i, kTokens));
        if (random() % 3 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 8));
      }
      for (auto& [i, future] : answers) {
        const WholeAnswer answer = future.get();
        EXPECT_EQ(answer.choices[0].finished.error, "");
        EXPECT_EQ(ids_of(answer.choices[0].logprobs), alone[i]) << "prompt " << i << ", round " << round;
      }
    }
    const EngineStatus status = engine->status();
    EXPECT_GT(status.cached_tokens, 0U);
    EXPECT_LE(status.kv_bytes, settings.kv_budget);
  }
}
INSTANTIATE_TEST_SUITE_P(Models, EngineModel, testing::Values("text-e2b", "text-moe", "text-dense"),
                         [](const auto& of) {
                           std::string name = of.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(EngineMemory, TwoThatOutgrowItTakeTurns) {
  const DecoderConfig config = tiny_model("text-e2b")->config().decoder;
  const std::size_t one = KvCache::bytes_needed(config, {DType::kF16, DType::kF16, 2048, 64, 0});
  std::vector<Ids> alone;
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    const auto engine = make_engine({"text-e2b", one});
    alone.push_back(ids_of(answer_whole(*engine, request_of({2, 50}, seed, 1300)).choices[0].logprobs));
  }
  const auto engine = make_engine({"text-e2b", one});
  std::future<WholeAnswer> first = ask(*engine, request_of({2, 50}, 0, 1300));
  std::future<WholeAnswer> second = ask(*engine, request_of({2, 50}, 1, 1300));
  EXPECT_EQ(ids_of(first.get().choices[0].logprobs), alone[0]);
  EXPECT_EQ(ids_of(second.get().choices[0].logprobs), alone[1]);
  EXPECT_GT(engine->status().preempted, 0U);
}

TEST(EngineCache, ASecondTurnComputesOnlyWhatIsNew) {
  const auto engine = make_engine({});
  std::mt19937 random(3);
  Ids conversation = random_ids(random, 1000);
  const WholeAnswer first = answer_whole(*engine, request_of(conversation, 1, 20));
  EXPECT_EQ(first.usage.cached_tokens, 0U);
  EXPECT_EQ(first.usage.cache_miss, CacheMiss::kEmpty);
  const Ids said = ids_of(first.choices[0].logprobs);

  Ids second = conversation;
  second.insert(second.end(), said.begin(), said.end());
  const std::size_t known = second.size() - 1;  // the last token drawn was never computed
  const Ids question = random_ids(random, 30);
  second.insert(second.end(), question.begin(), question.end());
  const WholeAnswer next = answer_whole(*engine, request_of(second, 1, 1));
  EXPECT_EQ(next.usage.cached_tokens, known);
  EXPECT_EQ(next.usage.cache_miss, CacheMiss::kNone);

  // What was said is cut (a thought): from the end of the first prompt on, all is computed again, nothing before.
  Ids cut = conversation;
  cut.insert(cut.end(), question.begin(), question.end());
  const WholeAnswer other = answer_whole(*engine, request_of(cut, 1, 1));
  EXPECT_EQ(other.usage.cached_tokens, conversation.size());
  EXPECT_EQ(other.usage.cache_miss, CacheMiss::kDiverged);

  // Another salt shares nothing.
  Request salted = request_of(second, 1, 1);
  salted.cache_salt = "tenant";
  EXPECT_EQ(answer_whole(*engine, std::move(salted)).usage.cache_miss, CacheMiss::kEmpty);
}

// The mean of the reference's hidden states after the final norm, but for the start token's; also in several chunks,
// beside others, and where memory is so short that it is begun twice.
TEST(EngineEmbedding, IsTheMeanOfTheHiddenStates) {
  const std::filesystem::path folder = std::filesystem::path(CARAT_TEST_DATA) / "golden" / "text-e2b";
  const Ids prompt = golden::load(folder / "inputs.safetensors").ints("input_ids");
  const golden::Tensors tensors = golden::load(folder / "expected.safetensors");
  const std::vector<float>& states = tensors.floats("hidden_states");  // [layers + 2, tokens, hidden]
  Settings settings;
  settings.chunk = 16;
  settings.kv_budget = std::size_t{1} << 20;
  const auto engine = make_engine(settings);
  const std::size_t hidden = engine->info().embedding_size;
  const std::span<const float> last = std::span(states).last(prompt.size() * hidden);
  std::vector<double> expected(hidden);
  for (std::size_t i = prompt[0] == engine->tokenizer().vocab().bos() ? 1 : 0; i < prompt.size(); ++i) {
    for (std::size_t j = 0; j < hidden; ++j) expected[j] += static_cast<double>(last[i * hidden + j]);
  }
  double squares = 0;
  for (const double value : expected) squares += value * value;

  std::mt19937 random(5);
  std::vector<std::future<WholeAnswer>> others;
  for (std::size_t i = 0; i < 6; ++i) others.push_back(ask(*engine, request_of(random_ids(random, 200), i, 40)));
  Request request = request_of(prompt, 1, 1);
  request.logprobs.reset();
  request.wants_embedding = true;
  const WholeAnswer answer = answer_whole(*engine, request);
  ASSERT_EQ(answer.choices.size(), 1U);
  EXPECT_EQ(answer.choices[0].finished.error, "");
  EXPECT_EQ(answer.usage.prompt_tokens, prompt.size());
  EXPECT_EQ(answer.usage.completion_tokens, 0U);
  ASSERT_EQ(answer.choices[0].embedding.size(), hidden);
  for (std::size_t j = 0; j < hidden; ++j) {
    // Keys and values are kept as f16 here: 2^-11 of their size, through ten layers.
    EXPECT_NEAR(answer.choices[0].embedding[j], expected[j] / std::sqrt(squares), 5e-3) << j;
  }
  for (auto& other : others) EXPECT_EQ(other.get().choices[0].finished.error, "");

  request.choices = 2;
  EXPECT_THROW(engine->submit(request, [](Event&&) {}), Error);
}

TEST(EngineChoices, EachDrawsAsIfItWereAloneWithItsSeed) {
  const auto engine = make_engine({});
  std::mt19937 random(5);
  const Ids prompt = random_ids(random, 300);
  Request request = request_of(prompt, 40, 16);
  request.choices = 4;
  const WholeAnswer all = answer_whole(*engine, std::move(request));
  ASSERT_EQ(all.choices.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    const WholeAnswer one = answer_whole(*engine, request_of(prompt, 40 + i, 16));
    EXPECT_EQ(ids_of(one.choices[0].logprobs), ids_of(all.choices[i].logprobs)) << i;
  }
  EXPECT_EQ(all.usage.completion_tokens, 64U);
}

TEST(EngineLogprobs, OfAPromptAreThoseOfItsTokensWhenGenerated) {
  const auto engine = make_engine({});
  std::mt19937 random(9);
  const Ids prompt = random_ids(random, 100);
  Request request = request_of(prompt, 1, 8);
  request.logprobs = 3;
  const WholeAnswer first = answer_whole(*engine, std::move(request));
  Ids all = prompt;
  const Ids said = ids_of(first.choices[0].logprobs);
  all.insert(all.end(), said.begin(), said.end());

  Request echo = request_of(all, 1, 1);
  echo.prompt_logprobs = 3;
  const WholeAnswer second = answer_whole(*engine, std::move(echo));
  const std::vector<TokenLogprob>& of_prompt = second.choices[0].prompt_logprobs;
  ASSERT_EQ(of_prompt.size(), all.size());
  EXPECT_EQ(ids_of(of_prompt), all);
  for (std::size_t i = 0; i < said.size(); ++i) {
    const TokenLogprob& generated = first.choices[0].logprobs[i];
    const TokenLogprob& read = of_prompt[prompt.size() + i];
    EXPECT_EQ(generated.logprob, read.logprob);
    ASSERT_EQ(generated.top.size(), 3U);
    ASSERT_EQ(read.top.size(), 3U);
    EXPECT_EQ(generated.top[0].logprob, read.top[0].logprob);
    EXPECT_GE(generated.top[0].logprob, generated.logprob);
  }
}

TEST(EngineConstraint, AnswersFollowTheirGrammar) {
  const auto engine = make_engine({});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Request request = request_of({2, 100, 200}, seed, 0);
    request.limits = {};
    request.format.kind = FormatKind::kChoice;
    request.format.choices = {"yes", "no", "perhaps"};
    const WholeAnswer answer = answer_whole(*engine, request);
    EXPECT_TRUE(std::ranges::count(request.format.choices, answer.choices[0].content) == 1)
        << answer.choices[0].content;
    EXPECT_EQ(answer.choices[0].finished.reason, FinishReason::kStop);
  }
  Request request = request_of({2, 100, 200}, 1, 200);
  request.limits.ignores_end = false;
  request.format.kind = FormatKind::kRegex;
  request.format.text = "[a-c]{5}(x|y)";
  request.choices = 3;
  for (const WholeAnswer::Choice& choice : answer_whole(*engine, request).choices) {
    EXPECT_EQ(choice.content.size(), 6U);
    EXPECT_TRUE(choice.content.ends_with("x") || choice.content.ends_with("y"));
  }
  request.format.text = "(";
  EXPECT_THROW(engine->submit(request, [](Event&&) {}), Error);
}

TEST(EngineMemory, EverythingIsGivenBack) {
  const auto engine = make_engine({});
  std::mt19937 random(11);
  std::vector<std::future<WholeAnswer>> answers;
  std::vector<AnswerHandle> handles;
  for (std::size_t i = 0; i < 60; ++i) {
    auto promise = std::make_shared<std::promise<WholeAnswer>>();
    auto whole = std::make_shared<WholeAnswer>();
    answers.push_back(promise->get_future());
    handles.push_back(engine->submit(request_of(random_ids(random, 1 + random() % 300), i, 1 + random() % 60),
                                     [promise, whole](Event&& event) {
                                       if (whole->add(std::move(event))) promise->set_value(std::move(*whole));
                                     }));
    if (random() % 2 == 0) handles[random() % handles.size()].cancel();
    if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 10));
  }
  std::size_t cancelled = 0;
  for (auto& answer : answers) {
    const FinishReason reason = answer.get().choices[0].finished.reason;
    EXPECT_TRUE(reason == FinishReason::kLength || reason == FinishReason::kCancelled) << name(reason);
    if (reason == FinishReason::kCancelled) ++cancelled;
  }
  EXPECT_GT(cancelled, 0U);
  for (const AnswerHandle& handle : handles) handle.cancel();  // of what is over: nothing
  while (engine->status().running > 0) std::this_thread::yield();
  const EngineStatus status = engine->status();
  EXPECT_EQ(status.queued, 0U);
  EXPECT_EQ(status.finished, 60U);
  EXPECT_EQ(status.cancelled, cancelled);
  EXPECT_EQ(status.kv_bytes, status.kv_cached_bytes);
}

// F-08, S-10: a model of its own file, which may be harmed, and a batch of eight tokens.
struct HarmedModel {
  HarmedModel() {
    survive_lost_mappings();
    namespace fs = std::filesystem;
    fs::copy(fs::path(CARAT_TEST_DATA) / "golden" / "text-dense" / "model", folder);
    fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
    model = Model::load(folder);
    runner = make_model_runner(model, {2, "", ActivationType::kF32}, 64);
    cache.emplace(runner->config(), KvCacheOptions{DType::kF32, DType::kF32, 64, 64, 0}, pool);
    cache->make_room(0, 8);
    for (std::size_t i = 0; i < 8; ++i) batch.rows.push_back({static_cast<std::int32_t>(i), 0, i, i == 7});
    caches[0] = &*cache;
    batch.caches = caches;
    runner->forward(batch, {}, nullptr);
    EXPECT_TRUE(runner->is_intact());
  }
  ~HarmedModel() { std::filesystem::remove_all(folder); }

  // harm(layer) is called before each layer of a step, which has to end with an error.
  void expect_refusal(const std::function<void(int)>& harm) {
    int layers = 0;
    const auto at_a_layer = [&] {
      harm(++layers);
      return false;
    };
    try {
      runner->forward(batch, {}, at_a_layer);
      ADD_FAILURE() << "the step went well";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFile) << error.what();
    }
    EXPECT_FALSE(runner->is_intact());
  }

  std::filesystem::path folder = std::filesystem::temp_directory_path() / str("carat_harmed_model_", ::getpid());
  std::filesystem::path file = folder / "model.safetensors";
  std::shared_ptr<const Model> model;
  std::unique_ptr<StepRunner> runner;
  PagePool pool;
  std::optional<KvCache> cache;
  std::array<KvCache*, 1> caches{};
  Batch batch;
};

TEST(EngineModel, AFileThatShrinksInAStepEndsTheStepWithAnError) {
  HarmedModel m;
  const auto written = std::filesystem::last_write_time(m.file);
  const auto size = std::filesystem::file_size(m.file);
  m.expect_refusal([&](int layer) {
    if (layer == 2) std::filesystem::resize_file(m.file, 0);
    // Size and time as before: what is missed is what was read meanwhile.
    if (layer == 3) std::filesystem::resize_file(m.file, size);
    if (layer == 3) std::filesystem::last_write_time(m.file, written);
  });
  EXPECT_TRUE(is_mapping_lost(m.model->checkpoint().tensors()[0].bytes.data()));
}

TEST(EngineModel, AFileOverwrittenInPlaceEndsTheStepWithAnError) {
  HarmedModel m;
  const auto later = std::filesystem::last_write_time(m.file) + std::chrono::seconds(1);
  m.expect_refusal([&](int layer) {
    if (layer != 2) return;
    std::fstream file(m.file, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-64, std::ios::end);
    file << std::string(64, 'x');
    file.close();
    std::filesystem::last_write_time(m.file, later);
  });
  EXPECT_FALSE(is_mapping_lost(m.model->checkpoint().tensors()[0].bytes.data()));
}

// Whose file changes in the midst of the third step; nothing is computed from then on.
class ChangingRunner final : public TinyRunner {
 public:
  ChangingRunner() : TinyRunner("text-dense", 64) {}
  bool is_intact() const override { return steps_ < 3; }
  void forward(const Batch& batch, std::span<const TokenHistory> histories,
               const std::function<bool()>& should_stop) override {
    if (++steps_ >= 3) throw Error(ErrorKind::kBadFile, std::string(kChangedFile));
    TinyRunner::forward(batch, histories, should_stop);
  }

 private:
  std::atomic<int> steps_ = 0;  // any thread may ask whether the file is intact
};

// F-08: the answer used to end before the engine knew, and who asked at once heard that all is well.
TEST(EngineModel, IsUnhealthyBeforeAnAnswerTellsOfAChangedFile) {
  EngineOptions options;
  options.context = 512;
  Engine engine(std::make_unique<ChangingRunner>(), options);
  std::promise<bool> was_healthy;  // as the answer ended
  engine.submit(request_of({40, 41, 42}, 1, 64), [&](Event&& event) {
    const auto* finished = std::get_if<Finished>(&event.body);
    if (finished == nullptr) return;
    EXPECT_EQ(finished->error, StepRunner::kChangedFile);
    was_healthy.set_value(engine.status().is_healthy);
  });
  EXPECT_FALSE(was_healthy.get_future().get());
}

}  // namespace
}  // namespace carat
