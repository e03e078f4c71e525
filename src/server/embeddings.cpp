#include "server/embeddings.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/base64.h"
#include "server/dialect.h"
#include "server/openai_prompts.h"

namespace carat {
namespace {

static_assert(std::endian::native == std::endian::little);  // as the base64 form has its numbers

// What the three forms have in common: none is a stream, each is made of vectors and of counts.
class EmbeddingFormat : public AnswerFormat {
 public:
  EmbeddingFormat(std::string model, std::size_t dimensions) : model_(std::move(model)), dimensions_(dimensions) {}

  std::string_view stream_type() const override { return "application/json"; }
  std::string event(std::size_t, const Event&) override { return {}; }
  std::string end() override { return {}; }
  std::string stream_error(const ApiError&, std::string_view) override { return {}; }

  ServerResponse whole(std::span<WholeAnswer> answers) override {
    std::vector<std::vector<float>> vectors;
    std::size_t tokens = 0;
    double seconds = 0;
    for (WholeAnswer& answer : answers) {
      if (answer.choices.empty() || answer.choices[0].embedding.empty()) {
        throw passing_error(503, "cancelled", "the server stopped before all texts were embedded.", 1);
      }
      vectors.push_back(shortened(std::move(answer.choices[0].embedding)));
      tokens += answer.usage.prompt_tokens;
      seconds += answer.timings.prefill_seconds;
    }
    ServerResponse response;
    response.body = json::serialize(body(vectors, tokens, seconds));
    return response;
  }

 protected:
  virtual json::object body(std::span<const std::vector<float>> vectors, std::size_t tokens, double seconds) const = 0;
  const std::string& model() const { return model_; }

 private:
  // The first numbers, as a vector of length 1 again.
  std::vector<float> shortened(std::vector<float> vector) const {
    if (vector.size() <= dimensions_) return vector;
    vector.resize(dimensions_);
    double squares = 0;
    for (const float value : vector) squares += static_cast<double>(value) * static_cast<double>(value);
    const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
    for (float& value : vector) value *= scale;
    return vector;
  }

  std::string model_;
  std::size_t dimensions_;
};

json::array numbers(std::span<const float> vector) {
  json::array out;
  out.reserve(vector.size());
  for (const float value : vector) out.push_back(value);
  return out;
}

class OpenAiEmbeddings : public EmbeddingFormat {
 public:
  OpenAiEmbeddings(std::string model, std::size_t dimensions, bool is_base64)
      : EmbeddingFormat(std::move(model), dimensions), is_base64_(is_base64) {}

 private:
  json::object body(std::span<const std::vector<float>> vectors, std::size_t tokens, double) const override {
    json::array data;
    for (const std::vector<float>& vector : vectors) {
      json::object entry{{"object", "embedding"}, {"index", data.size()}};
      if (is_base64_) {
        std::string bytes(vector.size() * sizeof(float), '\0');
        std::memcpy(bytes.data(), vector.data(), bytes.size());
        entry["embedding"] = base64_encode(bytes);
      } else {
        entry["embedding"] = numbers(vector);
      }
      data.push_back(std::move(entry));
    }
    return {{"object", "list"},
            {"model", model()},
            {"data", std::move(data)},
            {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
  }

  bool is_base64_;
};

class OllamaEmbed : public EmbeddingFormat {
 public:
  using EmbeddingFormat::EmbeddingFormat;

 private:
  json::object body(std::span<const std::vector<float>> vectors, std::size_t tokens, double seconds) const override {
    constexpr double kNanoseconds = 1e9;
    json::array embeddings;
    for (const std::vector<float>& vector : vectors) embeddings.push_back(numbers(vector));
    return {{"model", model()},
            {"embeddings", std::move(embeddings)},
            {"total_duration", static_cast<std::int64_t>(seconds * kNanoseconds)},
            {"load_duration", 0},
            {"prompt_eval_count", tokens}};
  }
};

class OldOllamaEmbeddings : public EmbeddingFormat {
 public:
  using EmbeddingFormat::EmbeddingFormat;

 private:
  json::object body(std::span<const std::vector<float>> vectors, std::size_t, double) const override {
    return {{"embedding", numbers(vectors[0])}};
  }
};

std::size_t dimensions_of(const json::object& body, std::size_t size) {
  const std::size_t dimensions = size_of(body, "dimensions").value_or(size);
  if (dimensions > size) {
    throw ApiError(400, "invalid_value",
                   str("dimensions is ", dimensions, "; this model's vectors have ", size, " numbers."), "dimensions");
  }
  return dimensions;
}

// Prompts as tokens, so that what is left for the engine is quick; is_cut: what is too long for the context is cut.
std::vector<Request> requests_of(std::vector<Prompt> prompts, const std::string& model_name, const json::object& body,
                                 const EmbeddingModel& model, bool is_cut) {
  std::vector<Request> requests;
  for (Prompt& prompt : prompts) {
    TokenPrompt tokens;
    if (const auto* text = std::get_if<TextPrompt>(&prompt)) {
      tokens.ids = model.tokenizer.encode(text->text, {.add_bos = true});
    } else {
      tokens = std::move(std::get<TokenPrompt>(prompt));
    }
    if (is_cut && tokens.ids.size() >= model.context) tokens.ids.resize(model.context - 1);
    Request& request = requests.emplace_back();
    request.model = model_name;
    request.user = string_of(body, "user");
    request.prompt = std::move(tokens);
    request.wants_embedding = true;
    request.uses_prefix_cache = false;
    request.limits.max_tokens = 1;
  }
  return requests;
}

}  // namespace

Call parse_openai_embeddings(const json::object& body, const EmbeddingModel& model) {
  Call call;
  const std::string name = string_of(body, "model");
  call.requests =
      requests_of(prompts_of(find_member(body, "input"), model.tokenizer, "input"), name, body, model, false);
  call.format = std::make_unique<OpenAiEmbeddings>(name, dimensions_of(body, model.size),
                                                   string_of(body, "encoding_format") == "base64");
  return call;
}

Call parse_ollama_embed(const json::object& body, const EmbeddingModel& model) {
  Call call;
  const std::string name = string_of(body, "model");
  const bool is_cut = boolean_of(body, "truncate").value_or(true);
  call.requests =
      requests_of(prompts_of(find_member(body, "input"), model.tokenizer, "input"), name, body, model, is_cut);
  call.format = std::make_unique<OllamaEmbed>(name, dimensions_of(body, model.size));
  return call;
}

Call parse_ollama_embeddings(const json::object& body, const EmbeddingModel& model) {
  Call call;
  const std::string name = string_of(body, "model");
  call.requests =
      requests_of(prompts_of(find_member(body, "prompt"), model.tokenizer, "prompt"), name, body, model, true);
  call.format = std::make_unique<OldOllamaEmbeddings>(name, model.size);
  return call;
}

}  // namespace carat
