#include "engine/model_host.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "engine/script.h"

namespace carat {
namespace {

using std::chrono::seconds;

std::shared_ptr<Answerer> load_script(const std::string& name) {
  if (name == "absent") throw Error(ErrorKind::kNotFound, "no model absent");
  return make_scripted_answerer(parse_json(R"({"answers": [{"output": "Hi"}]})", "script", ErrorKind::kBadFile), name);
}

TEST(ModelHost, LoadsOnceHoweverManyAsk) {
  std::atomic<int> loads{0};
  ModelHost host(
      [&](const std::string& name) {
        ++loads;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return load_script(name);
      },
      {});
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_NE(host.acquire("a"), nullptr); });
  }
  threads.clear();
  EXPECT_EQ(loads, 1);
  ASSERT_EQ(host.loaded().size(), 1U);
  EXPECT_TRUE(host.loaded()[0].expires);
}

TEST(ModelHost, MakesPlaceByTheOneLongestUnused) {
  ModelHost host(load_script, {seconds(300), 2});
  host.acquire("a");
  host.acquire("b");
  host.acquire("a");
  host.acquire("c");
  std::vector<std::string> names;
  for (const ModelHost::Loaded& loaded : host.loaded()) names.push_back(loaded.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "c"}));

  const auto a = host.acquire("a");
  const auto c = host.acquire("c");
  EXPECT_THROW(host.acquire("d"), BusyError);
}

TEST(ModelHost, WaitsAMomentForAModelInUse) {
  ModelHost host(load_script, {});
  auto a = host.acquire("a");
  const std::jthread user([held = std::move(a)]() mutable {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    held.reset();
  });
  EXPECT_NE(host.acquire("b"), nullptr);
}

TEST(ModelHost, AFailedLoadLeavesNothingBehind) {
  ModelHost host(load_script, {});
  EXPECT_THROW(host.acquire("absent"), Error);
  EXPECT_TRUE(host.loaded().empty());
  EXPECT_NE(host.acquire("a"), nullptr);
}

TEST(ModelHost, UnloadsWhatNobodyUses) {
  ModelHost host(load_script, {});
  EXPECT_FALSE(host.unload("a"));
  auto used = host.acquire("a");
  EXPECT_TRUE(host.unload("a"));
  EXPECT_EQ(host.loaded().size(), 1U);  // in use: later
  used.reset();
  while (!host.loaded().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  host.acquire("b", seconds(0));
  while (!host.loaded().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  host.acquire("c", seconds(-1));
  EXPECT_FALSE(host.loaded()[0].expires);
}

// F-08: of the model, only that its file has changed.
class LostAnswerer final : public Answerer {
 public:
  AnswerHandle submit(Request, Listener) override { return {}; }
  RenderedPrompt render(const Request&) const override { return {}; }
  EngineStatus status() const override {
    EngineStatus status;
    status.is_healthy = false;
    return status;
  }
  const ModelInfo& info() const override { return info_; }
  const Tokenizer& tokenizer() const override { throw Error(ErrorKind::kInternal, "nobody asks"); }
  void drain() override {}
  void stop() override {}

 private:
  ModelInfo info_;
};

// The listener's was once the last pointer to the engine, whose thread then waited for itself: the process ended.
TEST(ModelHost, StopsModelsThatListenersStillHold) {
  std::atomic<int> events{0};
  bool is_over = false;
  {
    ModelHost host(
        [](const std::string& name) {
          constexpr const char* kSlow = R"({"step_ms": 20, "answers": [{"output": "one two three four five six"}]})";
          return make_scripted_answerer(parse_json(kSlow, "script", ErrorKind::kBadFile), name);
        },
        {});
    std::shared_ptr<Answerer> model = host.acquire("slow");
    Request request;
    request.prompt = TokenPrompt{{1}};
    model->submit(std::move(request), [&, model](Event&& event) {
      ++events;
      is_over = std::holds_alternative<Done>(event.body);
    });
    model.reset();
    while (events == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(is_over);
}

TEST(ModelHost, LoadsAgainWhatHasChangedUnderneath) {
  int loads = 0;
  ModelHost host(
      [&](const std::string& name) -> std::shared_ptr<Answerer> {
        if (++loads == 1) return std::make_shared<LostAnswerer>();
        return load_script(name);
      },
      {});
  const auto lost = host.acquire("a");
  const auto again = host.acquire("a");
  EXPECT_NE(lost, again);
  EXPECT_TRUE(again->status().is_healthy);
  EXPECT_EQ(host.acquire("a"), again);
  EXPECT_EQ(loads, 2);
}

}  // namespace
}  // namespace carat
