// Service: requests for answers, of all dialects.
#include <charconv>

#include "server/anthropic_messages.h"
#include "server/dialect.h"
#include "server/multipart.h"
#include "server/ollama_chat.h"
#include "server/openai_audio.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/openai_responses.h"
#include "server/service.h"

namespace carat {
namespace {

// Ollama's keep_alive: seconds, or "5m", "1h30m", "-1". Negative: for ever.
std::optional<std::chrono::seconds> keep_alive_of(const json::object& body) {
  constexpr double kForEver = 1e9;
  const json::value* value = find_member(body, "keep_alive");
  if (value == nullptr) return std::nullopt;
  double seconds = 0;
  if (value->is_number()) {
    seconds = value->to_number<double>();
  } else {
    const auto bad = [] {
      return ApiError(400, "invalid_value", "keep_alive must be seconds or a duration such as \"5m\".", "keep_alive");
    };
    std::string_view text = value->get_string();
    const bool is_negative = text.starts_with('-');
    if (is_negative) text.remove_prefix(1);
    if (text.empty()) throw bad();
    while (!text.empty()) {
      double number = 0;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
      if (read.ec != std::errc()) throw bad();
      text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
      double unit = 1;
      std::size_t unit_size = 1;
      if (text.starts_with("ms")) {
        unit = 1e-3;
        unit_size = 2;
      } else if (text.starts_with('h')) {
        unit = 3600;
      } else if (text.starts_with('m')) {
        unit = 60;
      } else if (!text.empty() && !text.starts_with('s')) {
        throw bad();
      }
      text.remove_prefix(std::min(text.size(), unit_size));
      seconds += number * unit;
    }
    if (is_negative) seconds = -seconds;
  }
  if (seconds < 0) return std::chrono::seconds(-1);
  return std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, kForEver)));
}

}  // namespace

void Service::chat_completions(const std::shared_ptr<Exchange>& exchange) {
  run(parse_openai_chat(body_of(exchange->request()), media_fetcher()), exchange);
}

void Service::completions(const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  const auto answerer = acquire(entry_of(string_of(body, "model")));
  run(parse_openai_completion(body, answerer->tokenizer()), exchange);
}

void Service::responses(const std::shared_ptr<Exchange>& exchange) {
  run(parse_openai_responses(body_of(exchange->request()), options_.is_lenient, media_fetcher()), exchange);
}

void Service::transcribe(bool is_translation, const std::shared_ptr<Exchange>& exchange) {
  const ServerRequest& request = exchange->request();
  const auto form = parse_multipart(plain_body(request), request.header("content-type"));
  const auto answerer = acquire(entry_of(form_value(form, "model")));
  run(parse_openai_audio(form, is_translation, answerer->info().takes_any_media), exchange);
}

void Service::transcriptions(const std::shared_ptr<Exchange>& exchange) {
  transcribe(false, exchange);
}

void Service::translations(const std::shared_ptr<Exchange>& exchange) {
  transcribe(true, exchange);
}

void Service::messages(const std::shared_ptr<Exchange>& exchange) {
  run(parse_anthropic_messages(body_of(exchange->request()), media_fetcher()), exchange);
}

// Nothing to answer: the model is to be loaded, or unloaded.
void Service::load_or_unload(const json::object& body, bool is_chat, const std::shared_ptr<Exchange>& exchange) {
  const ModelEntry entry = entry_of(string_of(body, "model"));
  const auto keep_alive = keep_alive_of(body);
  const bool is_unload = keep_alive && keep_alive->count() == 0;
  if (is_unload) {
    host_.unload(entry.name);
  } else {
    acquire(entry, keep_alive);
  }
  respond(*exchange, ollama_load_answer(string_of(body, "model"), is_chat, is_unload));
}

void Service::ollama_chat(const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  const json::array* messages = array_of(body, "messages");
  if (messages == nullptr || messages->empty()) return load_or_unload(body, true, exchange);
  run(parse_ollama_chat(body), exchange, keep_alive_of(body));
}

void Service::ollama_generate(const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  const bool is_empty = string_of(body, "prompt").empty() && array_of(body, "images") == nullptr;
  if (is_empty) return load_or_unload(body, false, exchange);
  run(parse_ollama_generate(body), exchange, keep_alive_of(body));
}

void Service::embed(EmbeddingParser parse, const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  std::optional<std::chrono::seconds> keep_alive;
  if (dialect_of(exchange->request()) == Dialect::kOllama) keep_alive = keep_alive_of(body);
  const auto answerer = acquire(entry_of(string_of(body, "model")), keep_alive);
  const ModelInfo& info = answerer->info();
  run(parse(body, {answerer->tokenizer(), info.context, info.embedding_size}), exchange, keep_alive);
}

void Service::embeddings(const std::shared_ptr<Exchange>& exchange) {
  embed(parse_openai_embeddings, exchange);
}

void Service::ollama_embed(const std::shared_ptr<Exchange>& exchange) {
  embed(parse_ollama_embed, exchange);
}

void Service::ollama_embeddings(const std::shared_ptr<Exchange>& exchange) {
  embed(parse_ollama_embeddings, exchange);
}

}  // namespace carat
