// The engine with pictures and sounds: what it says is what one sequence by itself says, whatever else is in the batch
// and in the cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <future>

#include "base/error.h"
#include "base/file.h"
#include "engine/byte_token_runner.h"
#include "engine/engine.h"
#include "engine/media_store.h"
#include "engine/session.h"
#include "model/media_tokens.h"

namespace carat {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

const ComputeOptions kExact{1, "", ActivationType::kF32};

fs::path golden_case(const std::string& name) {
  return fs::path(CARAT_TEST_DATA) / "golden" / name;
}

constexpr std::array kPictures{"photo.jpg", "wide.png"};

std::string bytes_of(const std::string& picture) {
  return read_text_file(golden_case("media") / "images" / picture, std::uint64_t{1} << 24);
}

// A tiny model with a tokenizer made for the test, whose own ids stand for media.
class TinyMediaRunner final : public ByteTokenRunner {
 public:
  explicit TinyMediaRunner(const std::shared_ptr<const Model>& model)
      : ByteTokenRunner(make_model_runner(model, kExact, 300)) {}

  MediaTokenIds media_tokens() const override { return find_media_tokens(tokenizer().vocab()); }
};

Request request_of(const std::string& text, std::vector<MediaPart> media) {
  Request request;
  request.prompt = TextPrompt{text, true, std::move(media)};
  request.sampling.temperature = 0;
  request.limits.max_tokens = 8;
  request.limits.ignores_end = true;
  request.logprobs = 0;
  return request;
}

Ids ids_of(const WholeAnswer& answer) {
  Ids ids;
  for (const TokenLogprob& token : answer.choices[0].logprobs) ids.push_back(token.token);
  return ids;
}

// The same by one session, step by step; ends are banned there, too.
Ids by_session(const std::shared_ptr<const Model>& model, const Tokenizer& tokenizer, const Ids& prompt,
               const std::vector<MediaPart>& media) {
  SessionOptions options;
  options.context = 2048;
  Session session(model, kExact, options);
  MediaStore store(model);
  std::vector<SharedSoftTokens> soft;
  for (const MediaPart& part : media) {
    const auto bytes = std::as_bytes(std::span(part.bytes));
    soft.push_back(part.kind == MediaKind::kImage ? store.image(session.compute(), bytes, part.max_soft_tokens, "image")
                                                  : store.sound(session.compute(), bytes, "sound"));
  }
  const std::vector<MediaSpan> spans = fill_placeholders(prompt, find_media_tokens(tokenizer.vocab()), soft);
  std::span<const float> logits = session.append(prompt, spans);
  Ids ids;
  while (ids.size() < 8) {
    std::vector<float> allowed(logits.begin(), logits.end());
    for (const std::int32_t end : tokenizer.vocab().ends()) allowed[static_cast<std::size_t>(end)] = -1e30F;
    ids.push_back(static_cast<std::int32_t>(std::ranges::max_element(allowed) - allowed.begin()));
    logits = session.append(std::span(&ids.back(), 1));
  }
  return ids;
}

class EngineMedia : public testing::TestWithParam<const char*> {};

TEST_P(EngineMedia, SaysWhatASessionSays) {
  const auto model = Model::load(golden_case(GetParam()) / "model");
  EngineOptions options;
  options.context = 2048;
  options.kv_budget = std::size_t{64} << 20;
  options.chunk = 300;
  Engine engine(std::make_unique<TinyMediaRunner>(model), options);

  std::vector<std::vector<MediaPart>> media{
      {{MediaKind::kImage, bytes_of(kPictures[0]), 70}},
      {{MediaKind::kImage, bytes_of(kPictures[1]), 280}},
      {{MediaKind::kImage, bytes_of(kPictures[1]), 280}, {MediaKind::kImage, bytes_of(kPictures[0]), 70}}};
  const std::vector<std::string> texts{"Look: <|image|> What is it?", std::string(250, 'x') + "<|image|> And this?",
                                       "One <|image|> and two <|image|>"};
  std::vector<Ids> expected;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Ids prompt = engine.render(request_of(texts[i], media[i])).ids;
    expected.push_back(by_session(model, engine.tokenizer(), prompt, media[i]));
  }
  // All at once, then again from the cache.
  for (int round = 0; round < 2; ++round) {
    std::vector<std::future<WholeAnswer>> answers;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      answers.push_back(
          std::async(std::launch::async, [&, i] { return answer_whole(engine, request_of(texts[i], media[i])); }));
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const WholeAnswer answer = answers[i].get();
      EXPECT_EQ(answer.choices[0].finished.error, "");
      EXPECT_EQ(ids_of(answer), expected[i]) << "round " << round << ", prompt " << i;
      EXPECT_GT(answer.usage.image_tokens, 0U);
      if (round == 1) {
        EXPECT_EQ(answer.usage.cached_tokens, answer.usage.prompt_tokens - 1);
      }
    }
  }
  // Another picture in the same place shares only what is before it.
  std::swap(media[0][0].bytes, media[1][0].bytes);
  const WholeAnswer other = answer_whole(engine, request_of(texts[0], media[0]));
  EXPECT_LE(other.usage.cached_tokens, 8U);
}
// Of a long conversation with a picture in it, a further turn computes what is new and at most a window before it.
TEST_P(EngineMedia, ASecondTurnComputesAWindow) {
  const auto model = Model::load(golden_case(GetParam()) / "model");
  const std::size_t window = model->config().decoder.window;
  EngineOptions options;
  options.context = 8192;
  options.kv_budget = std::size_t{64} << 20;
  options.chunk = 300;
  Engine engine(std::make_unique<TinyMediaRunner>(model), options);
  const std::vector<MediaPart> picture{{MediaKind::kImage, bytes_of(kPictures[0]), 70}};
  const std::string first = std::string(2000, 'x') + "<|image|>" + std::string(2000, 'y');  // a token a character
  const WholeAnswer one = answer_whole(engine, request_of(first, picture));
  ASSERT_GE(one.usage.prompt_tokens, 4000U);
  const WholeAnswer two = answer_whole(engine, request_of(first + "<turn|><|turn>user\nAnd then?", picture));
  EXPECT_GE(two.usage.cached_tokens + window, one.usage.prompt_tokens);
}

INSTANTIATE_TEST_SUITE_P(Models, EngineMedia, testing::Values("vision-e", "vision-large"),
                         [](const auto& of) { return std::string(of.param).substr(std::string("vision-").size()); });

}  // namespace
}  // namespace carat
