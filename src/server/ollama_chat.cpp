#include "server/ollama_chat.h"

#include <algorithm>

#include "server/dialect.h"
#include "server/openai_conversation.h"

namespace carat {
namespace {

std::int64_t nanoseconds(double seconds) {
  return static_cast<std::int64_t>(seconds * 1e9);
}

std::string_view done_reason(const Finished& finished) {
  return finished.reason == FinishReason::kLength || finished.reason == FinishReason::kLoop ? "length" : "stop";
}

json::object counters(const Usage& usage, const Timings& timings) {
  const double total = timings.queued_seconds + timings.prefill_seconds + timings.generation_seconds;
  return {{"total_duration", nanoseconds(total)},     {"load_duration", nanoseconds(timings.queued_seconds)},
          {"prompt_eval_count", usage.prompt_tokens}, {"prompt_eval_duration", nanoseconds(timings.prefill_seconds)},
          {"eval_count", usage.completion_tokens},    {"eval_duration", nanoseconds(timings.generation_seconds)}};
}

json::object logprob_json(std::string_view bytes, float logprob) {
  return {{"token", token_text(bytes)}, {"logprob", logprob}, {"bytes", byte_values(bytes)}};
}

json::array logprobs_json(const std::vector<TokenLogprob>& tokens) {
  json::array out;
  for (const TokenLogprob& token : tokens) {
    json::object entry = logprob_json(token.bytes, token.logprob);
    json::array top;
    for (const auto& other : token.top) top.push_back(logprob_json(other.bytes, other.logprob));
    if (!top.empty()) entry["top_logprobs"] = std::move(top);
    out.push_back(std::move(entry));
  }
  return out;
}

class OllamaFormat : public AnswerFormat {
 public:
  OllamaFormat(std::string model, bool is_chat) : model_(std::move(model)), is_chat_(is_chat) {}

  std::string_view stream_type() const override { return "application/x-ndjson"; }

  std::string event(std::size_t, const Event& event) override {
    if (const auto* text = std::get_if<ContentText>(&event.body)) return line(chunk(text->text, ""));
    if (const auto* unparsed = std::get_if<UnparsedText>(&event.body)) return line(chunk(unparsed->text, ""));
    if (const auto* thought = std::get_if<ReasoningText>(&event.body)) return line(chunk("", thought->text));
    if (const auto* begin = std::get_if<ToolCallBegin>(&event.body)) {
      call_ = {begin->name, ""};
    } else if (const auto* arguments = std::get_if<ToolCallArguments>(&event.body)) {
      call_.arguments += arguments->json;
    } else if (const auto* ended = std::get_if<ToolCallEnd>(&event.body)) {
      json::object body = chunk("", "");
      add_calls(body, json::array{call_json(call_, ended->call)});
      return line(body);
    } else if (const auto* logprobs = std::get_if<TokenLogprobs>(&event.body)) {
      json::object body = chunk("", "");
      body["logprobs"] = logprobs_json(logprobs->tokens);
      return line(body);
    } else if (const auto* finished = std::get_if<Finished>(&event.body)) {
      finished_ = *finished;
    } else if (const auto* done = std::get_if<Done>(&event.body)) {
      return line(last(chunk("", ""), done->usage, done->timings));
    }
    return {};
  }

  std::string end() override { return {}; }

  std::string stream_error(const ApiError& error, std::string_view request_id) override {
    return line(error_json(Dialect::kOllama, error, request_id));
  }

  ServerResponse whole(std::span<WholeAnswer> answers) override {
    WholeAnswer& answer = answers.front();
    WholeAnswer::Choice& choice = answer.choices.front();
    finished_ = choice.finished;
    json::object body = chunk(choice.content + choice.unparsed, choice.reasoning);
    json::array calls;
    for (const auto& call : choice.tool_calls) calls.push_back(call_json(call, calls.size()));
    if (!calls.empty()) add_calls(body, std::move(calls));
    if (!choice.logprobs.empty()) body["logprobs"] = logprobs_json(choice.logprobs);
    ServerResponse response;
    response.body = json::serialize(last(std::move(body), answer.usage, answer.timings));
    return response;
  }

 private:
  static std::string line(const json::object& body) { return json::serialize(body) + "\n"; }

  json::object chunk(const std::string& text, const std::string& thought) const {
    json::object body{{"model", model_}, {"created_at", rfc3339_now()}};
    if (is_chat_) {
      json::object message{{"role", "assistant"}, {"content", text}};
      if (!thought.empty()) message["thinking"] = thought;
      body["message"] = std::move(message);
    } else {
      body["response"] = text;
      if (!thought.empty()) body["thinking"] = thought;
    }
    body["done"] = false;
    return body;
  }

  void add_calls(json::object& body, json::array calls) const {
    (is_chat_ ? body["message"].get_object() : body)["tool_calls"] = std::move(calls);
  }

  static json::object call_json(const WholeAnswer::ToolCall& call, std::size_t index) {
    json::value arguments = parse_json(call.arguments, "arguments", ErrorKind::kInternal);
    return {{"id", random_id("call_")},
            {"function", {{"index", index}, {"name", call.name}, {"arguments", std::move(arguments)}}}};
  }

  json::object last(json::object body, const Usage& usage, const Timings& timings) const {
    body["done"] = true;
    body["done_reason"] = done_reason(finished_);
    for (auto& [key, value] : counters(usage, timings)) body[key] = std::move(value);
    return body;
  }

  std::string model_;
  bool is_chat_;
  WholeAnswer::ToolCall call_;
  Finished finished_;
};

// What both requests share.
Request base_request(const json::object& body) {
  Request request;
  request.model = string_of(body, "model");
  if (const json::object* options = object_of(body, "options")) {
    read_sampling(*options, request.sampling);
    request.limits.stop = stops_of(*options, "stop");
    request.limits.max_tokens = size_of(*options, "num_predict").value_or(0);  // -1, -2: until the context is full
  }
  if (boolean_of(body, "logprobs").value_or(false)) request.logprobs = size_of(body, "top_logprobs").value_or(0);
  if (const json::value* format = find_member(body, "format")) {
    if (format->is_object()) {
      request.format.kind = FormatKind::kJsonSchema;
      request.format.schema = *format;
    } else if (*format == "json") {
      request.format.kind = FormatKind::kJsonObject;
    }
  }
  return request;
}

Thinking thinking_of(const json::object& body) {
  const json::value* think = find_member(body, "think");
  if (think == nullptr) return {};
  if (think->is_bool()) return {think->get_bool(), std::nullopt};
  return thinking_of_effort(think->get_string()).value_or(Thinking{true, std::nullopt});
}

void add_images(const json::object& object, const std::string& at, std::vector<ContentPart>& content) {
  const json::array* images = array_of(object, "images");
  if (images == nullptr) return;
  for (std::size_t i = 0; i < images->size(); ++i) {
    const std::string_view data = (*images)[i].get_string();
    content.emplace_back(media_of_base64(data, MediaKind::kImage, str(at, "images[", i, "]")));
  }
}

Message message_of(const json::object& object, const std::string& at) {
  Message message;
  const std::string role = string_of(object, "role");
  message.role = role == "system"      ? Role::kSystem
                 : role == "assistant" ? Role::kAssistant
                 : role == "tool"      ? Role::kTool
                                       : Role::kUser;
  add_images(object, at + ".", message.content);  // Gemma wants a picture before the words about it
  if (std::string text = string_of(object, "content"); !text.empty()) {
    message.content.emplace_back(TextPart{std::move(text)});
  }
  message.reasoning = string_of(object, "thinking");
  message.tool_call_id = string_of(object, "tool_call_id");
  message.tool_name = string_of(object, "tool_name");
  if (const json::array* calls = array_of(object, "tool_calls")) {
    for (std::size_t i = 0; i < calls->size(); ++i) {
      const json::object& call = (*calls)[i].get_object();
      const json::object& function = call.at("function").get_object();
      message.tool_calls.push_back(
          {string_of(call, "id"), string_of(function, "name"),
           arguments_of(function.if_contains("arguments"), str(at, ".tool_calls[", i, "].function.arguments"))});
    }
  }
  return message;
}

Call make_call(Request request, const json::object& body, bool is_chat) {
  Call call;
  call.is_streaming = boolean_of(body, "stream").value_or(true);
  call.format = std::make_unique<OllamaFormat>(request.model, is_chat);
  call.requests.push_back(std::move(request));
  return call;
}

}  // namespace

Call parse_ollama_chat(const json::object& body) {
  Request request = base_request(body);
  Conversation conversation;
  const json::array& messages = body.at("messages").get_array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    conversation.messages.push_back(message_of(messages[i].get_object(), str("messages[", i, "]")));
  }
  if (const json::array* tools = array_of(body, "tools")) conversation.tools = tools_from_openai(*tools);
  conversation.thinking = thinking_of(body);
  request.prompt = std::move(conversation);
  return make_call(std::move(request), body, true);
}

Call parse_ollama_generate(const json::object& body) {
  if (!string_of(body, "template").empty()) {
    throw ApiError(400, "unsupported_value", "templates from requests are not taken; the model's own is used.",
                   "template");
  }
  if (!string_of(body, "suffix").empty()) {
    throw ApiError(400, "unsupported_value", "this model can't fill in a middle: suffix is not supported.", "suffix");
  }
  Request request = base_request(body);
  std::string prompt = string_of(body, "prompt");
  if (boolean_of(body, "raw").value_or(false)) {
    TextPrompt text{std::move(prompt), true, {}};
    std::vector<ContentPart> images;
    add_images(body, "", images);
    for (ContentPart& image : images) text.media.push_back(std::move(std::get<MediaPart>(image)));
    request.prompt = std::move(text);
  } else {
    Conversation conversation;
    if (std::string system = string_of(body, "system"); !system.empty()) {
      Message message;
      message.role = Role::kSystem;
      message.content.emplace_back(TextPart{std::move(system)});
      conversation.messages.push_back(std::move(message));
    }
    Message message;
    add_images(body, "", message.content);
    message.content.emplace_back(TextPart{std::move(prompt)});
    conversation.messages.push_back(std::move(message));
    conversation.thinking = thinking_of(body);
    request.prompt = std::move(conversation);
  }
  return make_call(std::move(request), body, false);
}

json::object ollama_load_answer(const std::string& model, bool is_chat, bool is_unload) {
  json::object body{{"model", model}, {"created_at", rfc3339_now()}};
  if (is_chat) {
    body["message"] = {{"role", "assistant"}, {"content", ""}};
  } else {
    body["response"] = "";
  }
  body["done"] = true;
  body["done_reason"] = is_unload ? "unload" : "load";
  return body;
}

}  // namespace carat
