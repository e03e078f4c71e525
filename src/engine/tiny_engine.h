// For tests: the engine over a tiny model.
#pragma once

#include <filesystem>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/byte_token_runner.h"
#include "engine/engine.h"
#include "model/assistant.h"

namespace carat {

using Ids = std::vector<std::int32_t>;

inline std::filesystem::path tiny_folder(const std::string& name) {
  return std::filesystem::path(CARAT_TEST_DATA) / "golden" / name;
}

inline std::shared_ptr<const Model> tiny_model(const std::string& name) {
  return Model::load(tiny_folder(name) / "model");
}

// A tiny model, which has no tokenizer of its own, with one made for the test.
class TinyRunner : public ByteTokenRunner {
 public:
  // assistant: a folder of golden/assistant; empty for none.
  TinyRunner(const std::string& name, std::size_t chunk, const std::string& assistant = {})
      : TinyRunner(tiny_model(name), chunk, assistant) {}

 private:
  TinyRunner(const std::shared_ptr<const Model>& model, std::size_t chunk, const std::string& assistant)
      : ByteTokenRunner(make_model_runner(
            model, {1, "", ActivationType::kF32}, chunk,
            assistant.empty() ? nullptr : Assistant::load(tiny_folder("assistant") / assistant, *model))) {}
};

inline Request request_of(Ids prompt, std::uint64_t seed, std::size_t tokens) {
  Request request;
  request.prompt = TokenPrompt{std::move(prompt)};
  request.sampling.seed = seed;
  request.sampling.temperature = 2;
  request.sampling.top_k = 0;
  request.sampling.top_p = 1;
  request.limits.max_tokens = tokens;
  request.limits.ignores_end = true;
  request.limits.guards_against_loops = false;
  request.logprobs = 0;
  return request;
}

inline Ids ids_of(const std::vector<TokenLogprob>& tokens) {
  Ids ids;
  for (const TokenLogprob& token : tokens) ids.push_back(token.token);
  return ids;
}

inline std::future<WholeAnswer> ask(Engine& engine, Request request) {
  struct Waiting {
    std::promise<WholeAnswer> promise;
    WholeAnswer answer;
  };
  const auto waiting = std::make_shared<Waiting>();
  std::future<WholeAnswer> result = waiting->promise.get_future();
  engine.submit(std::move(request), [waiting](Event&& event) {
    if (waiting->answer.add(std::move(event))) waiting->promise.set_value(std::move(waiting->answer));
  });
  return result;
}

inline Ids random_ids(std::mt19937& random, std::size_t n) {
  Ids ids(n);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(30 + random() % 400);
  return ids;
}

}  // namespace carat
