// What the engine gives to many at once:
//   bench_engine MODEL [TOKENS]
// prints tokens a second for 1, 2, 4 and 8 answers at once, and the time to the first token of a short request, alone
// and while a prompt of 4,000 tokens is computed, in steps of one answer. Prompts are noise; speed doesn't know.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/byte_token_runner.h"
#include "engine/engine.h"

namespace carat {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Synthetic models have no tokenizer, and prompts here are ids.
std::unique_ptr<StepRunner> noise_runner(const std::string& path, std::size_t chunk) {
  return std::make_unique<ByteTokenRunner>(make_model_runner(Model::load(path), {}, chunk));
}

Request noise(std::size_t prompt_tokens, std::size_t answer_tokens, std::size_t vocab, std::mt19937& random) {
  Request request;
  TokenPrompt prompt;
  while (prompt.ids.size() < prompt_tokens) {
    prompt.ids.push_back(static_cast<std::int32_t>(1000 + random() % (vocab - 1000)));
  }
  request.prompt = std::move(prompt);
  request.limits.max_tokens = answer_tokens;
  request.limits.ignores_end = true;
  request.limits.guards_against_loops = false;
  request.logprobs.reset();
  return request;
}

// An answer's times, from its submit on.
struct Times {
  double first_token = 0;
  double end = 0;
  std::size_t tokens = 0;
};

std::future<Times> ask(Engine& engine, Request request) {
  struct Waiting {
    Clock::time_point begin = Clock::now();
    std::promise<Times> promise;
  };
  const auto waiting = std::make_shared<Waiting>();
  std::future<Times> result = waiting->promise.get_future();
  engine.submit(std::move(request), [waiting](Event&& event) {
    const auto* done = std::get_if<Done>(&event.body);
    if (done == nullptr) return;
    waiting->promise.set_value({done->timings.queued_seconds + done->timings.prefill_seconds,
                                seconds_since(waiting->begin), done->usage.completion_tokens});
  });
  return result;
}

void measure_streams(Engine& engine, std::size_t streams, std::size_t tokens, std::mt19937& random) {
  std::vector<std::future<Times>> answers;
  for (std::size_t i = 0; i < streams; ++i) {
    answers.push_back(ask(engine, noise(16, tokens, engine.info().vocab, random)));
  }
  double first = 0;  // when the last of them had begun
  double end = 0;
  for (auto& answer : answers) {
    const Times times = answer.get();
    first = std::max(first, times.first_token);
    end = std::max(end, times.end);
  }
  const double generated = static_cast<double>(streams * tokens);
  std::printf("%2zu streams: %6.1f tokens/s in all (%.2f s until all had begun, %.2f s to the end)\n", streams,
              generated / end, first, end);
}

void measure_first_token(Engine& engine, std::mt19937& random) {
  const std::size_t vocab = engine.info().vocab;
  const Times steps = ask(engine, noise(16, 33, vocab, random)).get();
  const double step = (steps.end - steps.first_token) / 32;
  const double alone = ask(engine, noise(16, 1, vocab, random)).get().first_token;
  const AnswerHandle long_prompt = engine.submit(noise(4000, 1, vocab, random), [](Event&&) {});
  double worst = 0;
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(700 + random() % 400));
    worst = std::max(worst, ask(engine, noise(16, 1, vocab, random)).get().first_token);
  }
  long_prompt.cancel();
  std::printf(
      "first token of a short request: %.0f ms alone, %.0f ms beside a prompt of 4,000 tokens (worst of 5): "
      "%.1f steps of %.0f ms more\n",
      1000 * alone, 1000 * worst, (worst - alone) / step, 1000 * step);
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    std::fprintf(stderr, "usage: bench_engine MODEL [TOKENS]   (of each answer)\n");
    return 2;
  }
  const std::size_t tokens = arguments.size() > 1 ? std::stoul(arguments[1]) : 48;
  EngineOptions options;
  options.context = 8192;
  Engine engine(noise_runner(arguments[0], options.chunk), options);
  std::mt19937 random(1);
  ask(engine, noise(64, 8, engine.info().vocab, random)).get();  // warm: weights in memory, costs known
  for (const std::size_t streams : {1U, 2U, 4U, 8U}) measure_streams(engine, streams, tokens, random);
  measure_first_token(engine, random);
  return 0;
}

}  // namespace
}  // namespace carat

int main(int count, char** values) {
  try {
    return carat::run({values + 1, values + count});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_engine: %s\n", error.what());
    return 1;
  }
}
