#include "server/openai_chat.h"

#include <map>

#include "server/dialect.h"
#include "server/openai_conversation.h"

namespace carat {
namespace {

struct ChatOptions {
  std::string model;
  bool has_usage_chunk = false;  // stream_options.include_usage
  bool has_logprobs = false;
};

std::string_view finish_reason(const Finished& finished) {
  switch (finished.reason) {
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kLength:
    case FinishReason::kLoop:
      return "length";
    default:
      return "stop";
  }
}

// What OpenAI has no word for; null where there is nothing to add.
json::value stop_reason(const Finished& finished) {
  if (finished.reason == FinishReason::kLoop) return "loop";
  if (finished.reason == FinishReason::kCancelled) return "cancelled";
  if (!finished.stop.empty()) return json::value(finished.stop);
  return nullptr;
}

json::object logprob_json(std::string_view bytes, float logprob) {
  return {{"token", token_text(bytes)}, {"logprob", logprob}, {"bytes", byte_values(bytes)}};
}

// Tokens of thoughts are left out: OpenAI's list is that of the content.
json::object logprobs_json(const std::vector<TokenLogprob>& tokens) {
  json::array content;
  for (const TokenLogprob& token : tokens) {
    if (token.is_reasoning) continue;
    json::object entry = logprob_json(token.bytes, token.logprob);
    json::array top;
    for (const auto& other : token.top) top.push_back(logprob_json(other.bytes, other.logprob));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

class ChatFormat : public AnswerFormat {
 public:
  explicit ChatFormat(ChatOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  std::string event(std::size_t, const Event& event) override {
    const std::size_t choice = event.choice;
    if (std::holds_alternative<Started>(event.body)) return {};
    if (const auto* done = std::get_if<Done>(&event.body)) {
      usage_ = openai_usage(done->usage);
      timings_ = timings_json(done->usage, done->timings);
      return {};
    }
    if (const auto* logprobs = std::get_if<TokenLogprobs>(&event.body)) {
      json::object delta{{"content", std::exchange(choices_[choice].held, {})}};
      return chunk(choice, std::move(delta), nullptr, logprobs_json(logprobs->tokens));
    }
    std::string out;
    if (const auto* text = std::get_if<ContentText>(&event.body)) {
      if (options_.has_logprobs) {
        choices_[choice].held += text->text;  // goes out with its tokens' probabilities, which come next
      } else {
        out = chunk(choice, {{"content", text->text}});
      }
      return out;
    }
    // Anything else: what was held back goes first.
    if (std::string held = std::exchange(choices_[choice].held, {}); !held.empty()) {
      out = chunk(choice, {{"content", std::move(held)}});
    }
    if (const auto* thought = std::get_if<ReasoningText>(&event.body)) {
      out += chunk(choice, {{"reasoning_content", thought->text}});
    } else if (const auto* unparsed = std::get_if<UnparsedText>(&event.body)) {
      out += chunk(choice, {{"unparsed", unparsed->text}});
    } else if (const auto* begin = std::get_if<ToolCallBegin>(&event.body)) {
      const json::object function{{"name", begin->name}, {"arguments", ""}};
      out += chunk(
          choice,
          call_delta(
              {{"index", begin->call}, {"id", random_id("call_")}, {"type", "function"}, {"function", function}}));
    } else if (const auto* arguments = std::get_if<ToolCallArguments>(&event.body)) {
      const json::object function{{"arguments", arguments->json}};
      out += chunk(choice, call_delta({{"index", arguments->call}, {"function", function}}));
    } else if (const auto* finished = std::get_if<Finished>(&event.body)) {
      out += chunk(choice, {}, finished);
    }
    return out;
  }

  std::string end() override {
    std::string out;
    if (options_.has_usage_chunk) {
      json::object last = head("chat.completion.chunk");
      last["choices"] = json::array();
      last["usage"] = usage_;
      last["timings"] = timings_;
      out = sse_data(last);
    }
    return out + "data: [DONE]\n\n";
  }

  std::string stream_error(const ApiError& error, std::string_view request_id) override {
    return sse_data(error_json(Dialect::kOpenAi, error, request_id));
  }

  ServerResponse whole(std::span<WholeAnswer> answers) override {
    WholeAnswer& answer = answers.front();
    json::array choices;
    for (std::size_t i = 0; i < answer.choices.size(); ++i) choices.push_back(whole_choice(i, answer.choices[i]));
    json::object body = head("chat.completion");
    body["choices"] = std::move(choices);
    body["usage"] = openai_usage(answer.usage);
    body["timings"] = timings_json(answer.usage, answer.timings);
    ServerResponse response;
    response.headers = {{"X-Cache-Miss", std::string(name(answer.usage.cache_miss))}};
    response.body = json::serialize(body);
    return response;
  }

 private:
  struct Choice {
    bool has_role = false;
    std::string held;
  };

  json::object head(std::string_view object) const {
    return {{"id", id_},
            {"object", object},
            {"created", created_},
            {"model", options_.model},
            {"system_fingerprint", "carat"}};
  }

  static json::object call_delta(json::object call) { return {{"tool_calls", json::array{std::move(call)}}}; }

  std::string chunk(std::size_t choice, json::object delta, const Finished* finished = nullptr,
                    json::value logprobs = nullptr) {
    std::string out;
    if (!std::exchange(choices_[choice].has_role, true)) {
      out = chunk(choice, {{"role", "assistant"}, {"content", ""}});
    }
    json::object entry{
        {"index", choice}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", nullptr}};
    if (finished != nullptr) {
      entry["finish_reason"] = finish_reason(*finished);
      if (json::value reason = stop_reason(*finished); !reason.is_null()) entry["stop_reason"] = std::move(reason);
    }
    json::object body = head("chat.completion.chunk");
    body["choices"] = json::array{std::move(entry)};
    if (options_.has_usage_chunk) body["usage"] = nullptr;
    return out + sse_data(body);
  }

  json::object whole_choice(std::size_t index, WholeAnswer::Choice& choice) const {
    json::object message{{"role", "assistant"}, {"content", choice.content}, {"refusal", nullptr}};
    if (choice.content.empty() && !choice.tool_calls.empty()) message["content"] = nullptr;
    if (!choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
    if (!choice.unparsed.empty()) message["unparsed"] = choice.unparsed;
    if (!choice.tool_calls.empty()) {
      json::array calls;
      for (const auto& call : choice.tool_calls) {
        calls.push_back({{"id", random_id("call_")},
                         {"type", "function"},
                         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
      }
      message["tool_calls"] = std::move(calls);
    }
    json::object out{{"index", index},
                     {"message", std::move(message)},
                     {"logprobs", nullptr},
                     {"finish_reason", finish_reason(choice.finished)}};
    if (options_.has_logprobs) out["logprobs"] = logprobs_json(choice.logprobs);
    if (json::value reason = stop_reason(choice.finished); !reason.is_null()) out["stop_reason"] = std::move(reason);
    return out;
  }

  ChatOptions options_;
  std::string id_ = random_id("chatcmpl-");
  std::int64_t created_ = unix_time();
  std::map<std::size_t, Choice> choices_;
  json::object usage_, timings_;
};

}  // namespace

json::object openai_usage(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details",
           {{"cached_tokens", usage.cached_tokens},
            {"image_tokens", usage.image_tokens},
            {"audio_tokens", usage.audio_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}}};
}

json::object timings_json(const Usage& usage, const Timings& timings) {
  const auto rate = [](std::size_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  };
  constexpr double kMilliseconds = 1000;
  json::object all{{"queued_ms", timings.queued_seconds * kMilliseconds},
                   {"prompt_ms", timings.prefill_seconds * kMilliseconds},
                   {"prompt_per_second", rate(usage.prompt_tokens - usage.cached_tokens, timings.prefill_seconds)},
                   {"predicted_ms", timings.generation_seconds * kMilliseconds},
                   {"predicted_per_second", rate(usage.completion_tokens, timings.generation_seconds)},
                   {"cache_miss", name(usage.cache_miss)}};
  if (usage.guessed_tokens > 0) {
    all["draft_n"] = usage.guessed_tokens;  // llama.cpp's names
    all["draft_n_accepted"] = usage.accepted_guesses;
  }
  return all;
}

Call parse_openai_chat(const json::object& body, const FetchMedia& fetch) {
  Call call;
  call.is_streaming = boolean_of(body, "stream").value_or(false);
  const json::object* stream_options = object_of(body, "stream_options");
  ChatOptions options;
  options.model = string_of(body, "model");
  options.has_usage_chunk =
      call.is_streaming && stream_options != nullptr && boolean_of(*stream_options, "include_usage").value_or(false);

  Request request;
  request.model = options.model;
  request.user = string_of(body, "user");
  if (request.user.empty()) request.user = string_of(body, "safety_identifier");
  request.choices = size_of(body, "n").value_or(1);
  read_sampling(body, request.sampling);
  read_extensions(body, request);
  request.limits.stop = stops_of(body, "stop");
  const auto max_tokens = size_of(body, "max_completion_tokens");
  request.limits.max_tokens = max_tokens ? *max_tokens : size_of(body, "max_tokens").value_or(0);
  options.has_logprobs = boolean_of(body, "logprobs").value_or(false);
  const std::size_t top = size_of(body, "top_logprobs").value_or(0);
  if (top > 0 && !options.has_logprobs) {
    throw ApiError(400, "invalid_value", "top_logprobs needs logprobs to be true.", "top_logprobs");
  }
  if (options.has_logprobs) request.logprobs = top;
  if (const json::object* format = object_of(body, "response_format")) {
    request.format = format_from_openai(*format, "response_format");
  }
  if (const std::string grammar = string_of(body, "grammar"); !grammar.empty()) {
    request.format.kind = FormatKind::kGbnf;
    request.format.text = grammar;
  }
  if (const json::array* modalities = array_of(body, "modalities")) {
    for (const json::value& modality : *modalities) {
      if (modality != "text") {
        throw ApiError(400, "unsupported_value", "modalities: this server answers in text only.", "modalities");
      }
    }
  }

  Conversation conversation;
  conversation.messages =
      messages_from_openai(body.at("messages").get_array(), size_of(body, "max_soft_tokens"), fetch);
  if (const json::array* tools = array_of(body, "tools")) conversation.tools = tools_from_openai(*tools);
  if (const json::array* functions = array_of(body, "functions"); functions != nullptr && conversation.tools.empty()) {
    for (const json::value& function : *functions) {
      conversation.tools.push_back(tool_from_function(function.get_object()));
    }
  }
  read_tool_choice(body, conversation);
  read_thinking(body, conversation);
  request.prompt = std::move(conversation);
  call.requests.push_back(std::move(request));
  call.format = std::make_unique<ChatFormat>(std::move(options));
  return call;
}

}  // namespace carat
