#include "server/openai_responses.h"

#include "server/dialect.h"
#include "server/openai_conversation.h"

namespace carat {
namespace {

// ---- Request
// ---------------------------------------------------------------------------------------------------------

void add_part(const json::object& part, const std::string& at, const FetchMedia& fetch,
              std::vector<ContentPart>& content) {
  const std::string type = string_of(part, "type");
  if (type == "input_text" || type == "output_text") {
    content.emplace_back(TextPart{string_of(part, "text")});
  } else if (type == "refusal") {
    content.emplace_back(TextPart{string_of(part, "refusal")});
  } else if (type == "input_image") {
    const std::string url = string_of(part, "image_url");
    if (url.empty()) throw ApiError(400, "unsupported_value", str(at, ": there are no stored files here."), at);
    MediaPart media = media_of_url(url, MediaKind::kImage, at + ".image_url", fetch);
    media.max_soft_tokens = soft_tokens_of_detail(string_of(part, "detail"));
    if (const auto stated = size_of(part, "max_soft_tokens")) media.max_soft_tokens = stated;
    content.emplace_back(std::move(media));
  } else if (type == "input_audio") {
    const json::object* audio = object_of(part, "input_audio");
    if (audio == nullptr) throw ApiError(400, "missing_required_parameter", str(at, ".input_audio is required."), at);
    content.emplace_back(media_of_base64(string_of(*audio, "data"), MediaKind::kAudio, at + ".input_audio.data"));
  } else {
    throw ApiError(400, "unsupported_value", str(at, ": parts of type \"", printable(type), "\" are not supported."),
                   at);
  }
}

// A string, or parts.
std::vector<ContentPart> content_of(const json::value* value, const std::string& at, const FetchMedia& fetch) {
  std::vector<ContentPart> content;
  if (value == nullptr) return content;
  if (value->is_string()) {
    content.emplace_back(TextPart{std::string(value->get_string())});
  } else {
    const json::array& parts = value->get_array();
    for (std::size_t i = 0; i < parts.size(); ++i)
      add_part(parts[i].get_object(), str(at, "[", i, "]"), fetch, content);
  }
  return content;
}

// Thoughts and calls are items of their own here, and parts of the assistant's message in the protocol.
Message& assistant_message(std::vector<Message>& messages) {
  if (messages.empty() || messages.back().role != Role::kAssistant)
    messages.push_back({Role::kAssistant, {}, {}, {}, {}, {}});
  return messages.back();
}

void add_item(const json::object& item, const std::string& at, const FetchMedia& fetch,
              std::vector<Message>& messages) {
  const std::string type = string_of(item, "type");
  if (type == "function_call") {
    const json::value* arguments = item.if_contains("arguments");
    assistant_message(messages).tool_calls.push_back(
        {string_of(item, "call_id"), string_of(item, "name"), arguments_of(arguments, at + ".arguments")});
  } else if (type == "function_call_output") {
    Message message;
    message.role = Role::kTool;
    message.tool_call_id = string_of(item, "call_id");
    message.content = content_of(find_member(item, "output"), at + ".output", fetch);
    messages.push_back(std::move(message));
  } else if (type == "reasoning") {
    const json::array* content = array_of(item, "content");
    std::string text;
    if (content != nullptr) {
      for (const json::value& part : *content) text += string_of(part.get_object(), "text");
    }
    // A thought begins the next answer of the assistant: it never joins one that is complete.
    if (messages.empty() || messages.back().role != Role::kAssistant || !messages.back().content.empty()) {
      messages.push_back({Role::kAssistant, {}, {}, {}, {}, {}});
    }
    messages.back().reasoning += text;
  } else if (type == "item_reference") {
    throw ApiError(400, "unsupported_value", str(at, ": nothing is stored that could be referred to."), at);
  } else {
    const std::string role = string_of(item, "role");
    auto content = content_of(find_member(item, "content"), at + ".content", fetch);
    if (role == "assistant") {
      Message& message = assistant_message(messages);
      for (ContentPart& part : content) message.content.push_back(std::move(part));
      return;
    }
    if (role.empty()) throw ApiError(400, "missing_required_parameter", at + ".role is required.", at + ".role");
    Message message;
    message.role = role == "user" ? Role::kUser : Role::kSystem;
    message.content = std::move(content);
    messages.push_back(std::move(message));
  }
}

void read_tools(const json::object& body, Conversation& conversation) {
  const json::array* tools = array_of(body, "tools");
  if (tools == nullptr) return;
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const json::object& tool = (*tools)[i].get_object();
    const std::string at = str("tools[", i, "]");
    if (string_of(tool, "type") != "function") {
      throw ApiError(400, "unsupported_value", str(at, ": only tools of type \"function\" are supported."), at);
    }
    if (string_of(tool, "name").empty())
      throw ApiError(400, "missing_required_parameter", at + ".name is required.", at);
    json::object function;
    for (const char* key : {"name", "description", "parameters", "strict"}) {
      if (const json::value* value = find_member(tool, key)) function[key] = *value;
    }
    conversation.tools.push_back(tool_from_function(function));
  }
}

void refuse_state(const json::object& body) {
  for (const char* key : {"previous_response_id", "conversation"}) {
    if (find_member(body, key) != nullptr) {
      throw ApiError(400, "unsupported_value",
                     str(key, ": nothing is stored here; send the whole conversation as input."), key);
    }
  }
  if (boolean_of(body, "background").value_or(false)) {
    throw ApiError(400, "unsupported_value", "background: this server answers while you wait.", "background");
  }
}

// ---- Answer
// ----------------------------------------------------------------------------------------------------------

json::object usage_json(const Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}}},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

enum class ItemKind { kNone, kReasoning, kMessage, kCall };

// An item of the output while it grows.
struct Item {
  ItemKind kind = ItemKind::kNone;
  std::string id;
  std::string call_id;
  std::string name;
  std::string text;  // of a call: its arguments

  json::object part() const {
    if (kind == ItemKind::kReasoning) return {{"type", "reasoning_text"}, {"text", text}};
    return {{"type", "output_text"}, {"text", text}, {"annotations", json::array()}, {"logprobs", json::array()}};
  }
  json::object as_json(std::string_view status) const {
    if (kind == ItemKind::kCall) {
      return {{"type", "function_call"}, {"id", id},        {"call_id", call_id}, {"name", name},
              {"arguments", text},       {"status", status}};
    }
    json::array content;
    if (status != "in_progress") content.push_back(part());
    if (kind == ItemKind::kReasoning) {
      return {{"type", "reasoning"},
              {"id", id},
              {"summary", json::array()},
              {"content", std::move(content)},
              {"status", status}};
    }
    return {
        {"type", "message"}, {"id", id}, {"role", "assistant"}, {"status", status}, {"content", std::move(content)}};
  }
};

class ResponsesFormat : public AnswerFormat {
 public:
  ResponsesFormat(const json::object& body, std::string model) : model_(std::move(model)) {
    // The reply repeats the request.
    const auto echo = [&](const char* key, const json::value& otherwise) {
      const json::value* value = find_member(body, key);
      echoed_[key] = value != nullptr ? *value : otherwise;
    };
    echo("instructions", nullptr);
    echo("metadata", json::object());
    echo("parallel_tool_calls", true);
    echo("temperature", 1.0);
    echo("top_p", 0.95);
    echo("tool_choice", "auto");
    echo("max_output_tokens", nullptr);
    echo("truncation", "disabled");
    echo("user", nullptr);
    echoed_["text"] = {{"format", {{"type", "text"}}}};
    if (const json::object* text = object_of(body, "text"); text != nullptr && object_of(*text, "format") != nullptr) {
      echoed_["text"] = {{"format", *object_of(*text, "format")}};
    }
    const json::object* reasoning = object_of(body, "reasoning");
    const json::value* effort = reasoning != nullptr ? find_member(*reasoning, "effort") : nullptr;
    echoed_["reasoning"] = {{"effort", effort != nullptr ? *effort : json::value(nullptr)}, {"summary", nullptr}};
    json::array tools;
    if (const json::array* given = array_of(body, "tools")) {
      for (const json::value& value : *given) {
        json::object tool = value.get_object();
        for (const char* key : {"parameters", "strict", "description"}) {
          if (tool.if_contains(key) == nullptr) tool[key] = nullptr;
        }
        tools.push_back(std::move(tool));
      }
    }
    echoed_["tools"] = std::move(tools);
  }

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  std::string begin() override {
    std::string out = named("response.created", {{"response", response("in_progress")}});
    out += named("response.in_progress", {{"response", response("in_progress")}});
    return out;
  }

  std::string event(std::size_t, const Event& event) override {
    std::string out;
    if (const auto* thought = std::get_if<ReasoningText>(&event.body)) {
      out = open(ItemKind::kReasoning, {});
      out += text_delta("response.reasoning_text.delta", thought->text);
    } else if (const auto* content = std::get_if<ContentText>(&event.body)) {
      out = open(ItemKind::kMessage, {});
      out += text_delta("response.output_text.delta", content->text);
    } else if (const auto* unparsed = std::get_if<UnparsedText>(&event.body)) {
      out = open(ItemKind::kMessage, {});
      out += text_delta("response.output_text.delta", unparsed->text);
    } else if (const auto* call = std::get_if<ToolCallBegin>(&event.body)) {
      out = close();
      out += open(ItemKind::kCall, call->name);
    } else if (const auto* arguments = std::get_if<ToolCallArguments>(&event.body)) {
      item_.text += arguments->json;
      out = named("response.function_call_arguments.delta",
                  {{"item_id", item_.id}, {"output_index", output_.size()}, {"delta", arguments->json}});
    } else if (std::holds_alternative<ToolCallEnd>(event.body)) {
      out = close();
    } else if (const auto* finished = std::get_if<Finished>(&event.body)) {
      out = close();
      finished_ = *finished;
    } else if (const auto* done = std::get_if<Done>(&event.body)) {
      usage_ = usage_json(done->usage);
      const std::string status = final_status();
      out = named("response." + status, {{"response", response(status)}});
    }
    return out;
  }

  std::string end() override { return {}; }

  std::string stream_error(const ApiError& error, std::string_view) override {
    json::object failed = response("failed");
    failed["error"] = {{"code", "server_error"}, {"message", error.what()}};
    std::string out = named("error", {{"code", error.code()}, {"message", error.what()}, {"param", nullptr}});
    out += named("response.failed", {{"response", std::move(failed)}});
    return out;
  }

  ServerResponse whole(std::span<WholeAnswer> answers) override {
    const WholeAnswer::Choice& choice = answers.front().choices.front();
    if (!choice.reasoning.empty())
      output_.push_back(Item{ItemKind::kReasoning, random_id("rs_"), "", "", choice.reasoning}.as_json("completed"));
    const std::string text = choice.content + choice.unparsed;
    if (!text.empty() || choice.tool_calls.empty()) {
      output_.push_back(Item{ItemKind::kMessage, random_id("msg_"), "", "", text}.as_json("completed"));
    }
    for (const auto& call : choice.tool_calls) {
      output_.push_back(
          Item{ItemKind::kCall, random_id("fc_"), random_id("call_"), call.name, call.arguments}.as_json("completed"));
    }
    finished_ = choice.finished;
    usage_ = usage_json(answers.front().usage);
    ServerResponse http;
    http.body = json::serialize(response(final_status()));
    return http;
  }

 private:
  std::string final_status() const {
    const bool is_cut = finished_.reason == FinishReason::kLength || finished_.reason == FinishReason::kLoop;
    return is_cut ? "incomplete" : finished_.reason == FinishReason::kCancelled ? "cancelled" : "completed";
  }

  json::object response(std::string_view status) const {
    json::object body{{"id", id_},        {"object", "response"}, {"created_at", created_},
                      {"status", status}, {"error", nullptr},     {"incomplete_details", nullptr},
                      {"model", model_},  {"output", output_},    {"previous_response_id", nullptr},
                      {"store", false}};
    if (status == "completed") body["completed_at"] = unix_time();
    if (status == "incomplete") body["incomplete_details"] = {{"reason", "max_output_tokens"}};
    for (const auto& [key, value] : echoed_) body[key] = value;
    body["usage"] = usage_;
    return body;
  }

  std::string named(std::string_view type, const json::object& data) {
    json::object out{{"type", type}, {"sequence_number", sequence_++}};
    for (const auto& [key, value] : data) out[key] = value;
    return sse_event(type, out);
  }

  std::string text_delta(std::string_view type, const std::string& text) {
    item_.text += text;
    json::object data{{"item_id", item_.id}, {"output_index", output_.size()}, {"content_index", 0}, {"delta", text}};
    if (item_.kind == ItemKind::kMessage) data["logprobs"] = json::array();
    return named(type, data);
  }

  std::string open(ItemKind kind, std::string tool) {
    if (item_.kind == kind && kind != ItemKind::kCall) return {};
    std::string out = close();
    item_ = {kind,
             random_id(kind == ItemKind::kCall      ? "fc_"
                       : kind == ItemKind::kMessage ? "msg_"
                                                    : "rs_"),
             kind == ItemKind::kCall ? random_id("call_") : "", std::move(tool), ""};
    out +=
        named("response.output_item.added", {{"output_index", output_.size()}, {"item", item_.as_json("in_progress")}});
    if (kind == ItemKind::kMessage) {
      out += named(
          "response.content_part.added",
          {{"item_id", item_.id}, {"output_index", output_.size()}, {"content_index", 0}, {"part", item_.part()}});
    }
    return out;
  }

  std::string close() {
    if (item_.kind == ItemKind::kNone) return {};
    std::string out;
    const json::object place{{"item_id", item_.id}, {"output_index", output_.size()}};
    const auto with = [&](json::object more) {
      for (const auto& [key, value] : place) more[key] = value;
      return more;
    };
    if (item_.kind == ItemKind::kCall) {
      out = named("response.function_call_arguments.done", with({{"arguments", item_.text}, {"name", item_.name}}));
    } else if (item_.kind == ItemKind::kReasoning) {
      out = named("response.reasoning_text.done", with({{"content_index", 0}, {"text", item_.text}}));
    } else {
      out = named("response.output_text.done",
                  with({{"content_index", 0}, {"text", item_.text}, {"logprobs", json::array()}}));
      out += named("response.content_part.done", with({{"content_index", 0}, {"part", item_.part()}}));
    }
    json::object done = item_.as_json("completed");
    out += named("response.output_item.done", {{"output_index", output_.size()}, {"item", done}});
    output_.push_back(std::move(done));
    item_ = {};
    return out;
  }

  std::string model_;
  json::object echoed_;
  std::string id_ = random_id("resp_");
  std::int64_t created_ = unix_time();
  std::size_t sequence_ = 0;
  json::array output_;  // items that are complete
  Item item_;           // the one that grows
  Finished finished_;
  json::value usage_;
};

}  // namespace

Call parse_openai_responses(const json::object& body, bool is_lenient, const FetchMedia& fetch) {
  if (!is_lenient) refuse_state(body);
  Call call;
  call.is_streaming = boolean_of(body, "stream").value_or(false);
  Request request;
  request.model = string_of(body, "model");
  request.user = string_of(body, "user");
  read_sampling(body, request.sampling);
  request.limits.max_tokens = size_of(body, "max_output_tokens").value_or(0);
  if (const json::object* text = object_of(body, "text")) {
    if (const json::object* format = object_of(*text, "format")) {
      request.format = format_from_openai(*format, "text.format");
    }
  }

  Conversation conversation;
  if (std::string instructions = string_of(body, "instructions"); !instructions.empty()) {
    conversation.messages.push_back({Role::kSystem, {TextPart{std::move(instructions)}}, {}, {}, {}, {}});
  }
  const json::value* input = find_member(body, "input");
  if (input == nullptr || input->is_string()) {
    const std::string text = input == nullptr ? "" : std::string(input->get_string());
    conversation.messages.push_back({Role::kUser, {TextPart{text}}, {}, {}, {}, {}});
  } else {
    const json::array& items = input->get_array();
    for (std::size_t i = 0; i < items.size(); ++i) {
      add_item(items[i].get_object(), str("input[", i, "]"), fetch, conversation.messages);
    }
  }
  read_tools(body, conversation);
  read_tool_choice(body, conversation);
  if (const json::object* reasoning = object_of(body, "reasoning")) {
    const std::string effort = string_of(*reasoning, "effort");
    if (const auto thinking = thinking_of_effort(effort); !effort.empty() && thinking)
      conversation.thinking = *thinking;
  }
  request.prompt = std::move(conversation);
  call.format = std::make_unique<ResponsesFormat>(body, request.model);
  call.requests.push_back(std::move(request));
  return call;
}

}  // namespace carat
