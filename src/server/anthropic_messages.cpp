#include "server/anthropic_messages.h"

#include <algorithm>
#include <optional>

#include "server/dialect.h"

namespace carat {
namespace {

// ---- Request
// ---------------------------------------------------------------------------------------------------------

void add_image(const json::object& block, const std::string& at, const FetchMedia& fetch,
               std::vector<ContentPart>& content) {
  const json::object& source = block.at("source").get_object();
  const std::string type = string_of(source, "type");
  if (type == "base64") {
    content.emplace_back(media_of_base64(string_of(source, "data"), MediaKind::kImage, at + ".source.data"));
  } else if (type == "url") {
    content.emplace_back(media_of_url(string_of(source, "url"), MediaKind::kImage, at + ".source.url", fetch));
  } else {
    throw ApiError(400, "unsupported_value", str(at, ".source: there are no stored files here."), at);
  }
}

// A tool's answer is a message of its own in the protocol.
Message tool_result(const json::object& block, const std::string& at, const FetchMedia& fetch) {
  Message message;
  message.role = Role::kTool;
  message.tool_call_id = string_of(block, "tool_use_id");
  const json::value* content = find_member(block, "content");
  if (content != nullptr && content->is_string()) {
    message.content.emplace_back(TextPart{std::string(content->get_string())});
  } else if (content != nullptr) {
    for (const json::value& part : content->get_array()) {
      const json::object& object = part.get_object();
      const std::string type = string_of(object, "type");
      if (type == "text") {
        message.content.emplace_back(TextPart{string_of(object, "text")});
      } else if (type == "image" && object_of(object, "source") != nullptr) {
        add_image(object, at, fetch, message.content);
      } else {
        throw ApiError(400, "unsupported_value",
                       str(at, ": content of type \"", printable(type), "\" is not supported."), at);
      }
    }
  }
  return message;
}

void add_message(const json::object& object, const std::string& at, const FetchMedia& fetch,
                 std::vector<Message>& messages) {
  const std::string role = string_of(object, "role");
  Message message;
  message.role = role == "assistant" ? Role::kAssistant : role == "system" ? Role::kSystem : Role::kUser;
  const json::value& content = object.at("content");
  if (content.is_string()) {
    message.content.emplace_back(TextPart{std::string(content.get_string())});
    messages.push_back(std::move(message));
    return;
  }
  const json::array& blocks = content.get_array();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const json::object& block = blocks[i].get_object();
    const std::string here = str(at, ".content[", i, "]");
    const std::string type = string_of(block, "type");
    if (type == "text") {
      message.content.emplace_back(TextPart{string_of(block, "text")});
    } else if (type == "image") {
      add_image(block, here, fetch, message.content);
    } else if (type == "thinking") {
      message.reasoning += string_of(block, "thinking");
    } else if (type == "tool_use") {
      message.tool_calls.push_back({string_of(block, "id"), string_of(block, "name"), block.at("input").get_object()});
    } else if (type == "tool_result") {
      messages.push_back(tool_result(block, here, fetch));
    } else if (type == "document") {
      throw ApiError(400, "unsupported_value", str(here, ": documents are not supported."), here);
    }
  }
  // Results of tools come first in a user's message; what it holds besides is a turn of the user.
  const bool is_empty = message.content.empty() && message.tool_calls.empty() && message.reasoning.empty();
  if (!is_empty || blocks.empty()) messages.push_back(std::move(message));
}

Message system_message(const json::value& system) {
  Message message;
  message.role = Role::kSystem;
  if (system.is_string()) {
    message.content.emplace_back(TextPart{std::string(system.get_string())});
  } else {
    std::string text;
    for (const json::value& block : system.get_array()) {
      text += (text.empty() ? "" : "\n\n") + string_of(block.get_object(), "text");
    }
    message.content.emplace_back(TextPart{std::move(text)});
  }
  return message;
}

std::vector<Tool> tools_of(const json::array& tools) {
  std::vector<Tool> out;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const json::object& object = tools[i].get_object();
    const std::string type = string_of(object, "type");
    if (!type.empty() && type != "custom") {
      throw ApiError(400, "unsupported_value", str("tools[", i, "]: type \"", printable(type), "\" is not supported."),
                     str("tools[", i, "].type"));
    }
    Tool tool;
    tool.name = string_of(object, "name");
    tool.function["name"] = tool.name;
    if (const json::value* description = find_member(object, "description"))
      tool.function["description"] = *description;
    if (const json::value* schema = find_member(object, "input_schema")) tool.function["parameters"] = *schema;
    tool.is_strict = boolean_of(object, "strict").value_or(false);
    out.push_back(std::move(tool));
  }
  return out;
}

void read_choice(const json::object& choice, Conversation& conversation) {
  ToolChoice& out = conversation.tool_choice;
  const std::string type = string_of(choice, "type");
  out.allows_parallel = !boolean_of(choice, "disable_parallel_tool_use").value_or(false);
  out.mode = type == "none" ? ToolMode::kNone : type == "auto" ? ToolMode::kAuto : ToolMode::kRequired;
  if (out.mode == ToolMode::kRequired && conversation.tools.empty()) {
    throw ApiError(400, "invalid_value", "tool_choice requires a call, but there are no tools.", "tool_choice");
  }
  if (type != "tool") return;
  out.allowed = {string_of(choice, "name")};
  if (std::ranges::find(conversation.tools, out.allowed[0], &Tool::name) == conversation.tools.end()) {
    throw ApiError(400, "invalid_value",
                   str("tool_choice names \"", printable(out.allowed[0]), "\", which is not among tools."),
                   "tool_choice.name");
  }
}

// ---- Answer
// ----------------------------------------------------------------------------------------------------------

std::string_view stop_reason(const Finished& finished) {
  switch (finished.reason) {
    case FinishReason::kToolCalls:
      return "tool_use";
    case FinishReason::kLength:
    case FinishReason::kLoop:
      return "max_tokens";
    default:
      return finished.stop.empty() ? "end_turn" : "stop_sequence";
  }
}

json::value stop_sequence(const Finished& finished) {
  return finished.stop.empty() ? json::value(nullptr) : json::value(finished.stop);
}

json::object usage_json(const Usage& usage) {
  // What was read from the cache is not counted among the input again.
  return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
          {"output_tokens", usage.completion_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached_tokens}};
}

// Thoughts carry no secret here; clients want the field, and send it back.
constexpr std::string_view kSignature = "carat";

class MessagesFormat : public AnswerFormat {
 public:
  explicit MessagesFormat(std::string model) : model_(std::move(model)) {}

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  std::string event(std::size_t, const Event& event) override {
    std::string out;
    if (const auto* started = std::get_if<Started>(&event.body)) {
      json::object message = head();
      message["content"] = json::array();
      message["stop_reason"] = nullptr;
      message["stop_sequence"] = nullptr;
      message["usage"] = usage_json(started->usage);
      out = named({{"type", "message_start"}, {"message", std::move(message)}});
      out += named({{"type", "ping"}});
    } else if (const auto* thought = std::get_if<ReasoningText>(&event.body)) {
      out = open(Block::kThinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
      out += delta({{"type", "thinking_delta"}, {"thinking", thought->text}});
    } else if (const auto* content = std::get_if<ContentText>(&event.body)) {
      out = text_delta(content->text);
    } else if (const auto* unparsed = std::get_if<UnparsedText>(&event.body)) {
      out = text_delta(unparsed->text);
    } else if (const auto* call = std::get_if<ToolCallBegin>(&event.body)) {
      out = close();
      out += open(Block::kTool,
                  {{"type", "tool_use"}, {"id", random_id("toolu_")}, {"name", call->name}, {"input", json::object()}});
    } else if (const auto* arguments = std::get_if<ToolCallArguments>(&event.body)) {
      out = delta({{"type", "input_json_delta"}, {"partial_json", arguments->json}});
    } else if (std::holds_alternative<ToolCallEnd>(event.body)) {
      out = close();
    } else if (const auto* finished = std::get_if<Finished>(&event.body)) {
      finished_ = *finished;
      out = close();
    } else if (const auto* done = std::get_if<Done>(&event.body)) {
      out = named({{"type", "message_delta"},
                   {"delta", {{"stop_reason", stop_reason(finished_)}, {"stop_sequence", stop_sequence(finished_)}}},
                   {"usage", usage_json(done->usage)}}) +
            named({{"type", "message_stop"}});
    }
    return out;
  }

  std::string end() override { return {}; }

  std::string stream_error(const ApiError& error, std::string_view request_id) override {
    return sse_event("error", error_json(Dialect::kAnthropic, error, request_id));
  }

  ServerResponse whole(std::span<WholeAnswer> answers) override {
    const WholeAnswer::Choice& choice = answers.front().choices.front();
    json::array content;
    if (!choice.reasoning.empty()) {
      content.push_back({{"type", "thinking"}, {"thinking", choice.reasoning}, {"signature", kSignature}});
    }
    if (const std::string text = choice.content + choice.unparsed; !text.empty()) {
      content.push_back({{"type", "text"}, {"text", text}});
    }
    for (const auto& call : choice.tool_calls) {
      content.push_back({{"type", "tool_use"},
                         {"id", random_id("toolu_")},
                         {"name", call.name},
                         {"input", parse_json(call.arguments, "arguments", ErrorKind::kInternal)}});
    }
    json::object body = head();
    body["content"] = std::move(content);
    body["stop_reason"] = stop_reason(choice.finished);
    body["stop_sequence"] = stop_sequence(choice.finished);
    body["usage"] = usage_json(answers.front().usage);
    ServerResponse response;
    response.body = json::serialize(body);
    return response;
  }

 private:
  enum class Block { kNone, kThinking, kText, kTool };

  json::object head() const { return {{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", model_}}; }

  static std::string named(const json::object& data) {
    return sse_event(std::string_view(data.at("type").get_string()), data);
  }

  // The block of that kind that is open; opens it, and closes another one, unless it is.
  std::string open(Block block, const json::object& beginning) {
    if (open_ == block) return {};
    std::string out = close();
    open_ = block;
    return out + named({{"type", "content_block_start"}, {"index", index_}, {"content_block", beginning}});
  }

  std::string close() {
    if (open_ == Block::kNone) return {};
    std::string out;
    if (open_ == Block::kThinking) out = delta({{"type", "signature_delta"}, {"signature", kSignature}});
    open_ = Block::kNone;
    return out + named({{"type", "content_block_stop"}, {"index", index_++}});
  }

  std::string delta(const json::object& change) const {
    return named({{"type", "content_block_delta"}, {"index", index_}, {"delta", change}});
  }

  std::string text_delta(const std::string& text) {
    std::string out = open(Block::kText, {{"type", "text"}, {"text", ""}});
    return out + delta({{"type", "text_delta"}, {"text", text}});
  }

  std::string model_;
  std::string id_ = random_id("msg_");
  Block open_ = Block::kNone;
  std::size_t index_ = 0;  // of the block that is open, or of the next one
  Finished finished_;
};

}  // namespace

Call parse_anthropic_messages(const json::object& body, const FetchMedia& fetch) {
  Call call;
  call.is_streaming = boolean_of(body, "stream").value_or(false);
  Request request;
  request.model = string_of(body, "model");
  if (const json::object* metadata = object_of(body, "metadata")) request.user = string_of(*metadata, "user_id");
  read_sampling(body, request.sampling);
  request.limits.max_tokens = size_of(body, "max_tokens").value_or(0);
  request.limits.stop = stops_of(body, "stop_sequences");

  Conversation conversation;
  if (const json::value* system = find_member(body, "system")) conversation.messages.push_back(system_message(*system));
  const json::array& messages = body.at("messages").get_array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    add_message(messages[i].get_object(), str("messages[", i, "]"), fetch, conversation.messages);
  }
  if (const json::array* tools = array_of(body, "tools")) conversation.tools = tools_of(*tools);
  if (const json::object* choice = object_of(body, "tool_choice")) read_choice(*choice, conversation);

  const json::object* output = object_of(body, "output_config");
  if (output != nullptr) {
    const std::string effort = string_of(*output, "effort");
    if (const auto thinking = thinking_of_effort(effort); !effort.empty() && thinking) {
      conversation.thinking.budget = thinking->budget;
    }
    if (const json::object* format = object_of(*output, "format")) {
      request.format.kind = FormatKind::kJsonSchema;
      request.format.schema = format->at("schema");
    }
  }
  const json::object* thinking = object_of(body, "thinking");
  conversation.thinking.is_enabled = thinking != nullptr && string_of(*thinking, "type") != "disabled";
  if (thinking != nullptr) {
    if (const auto budget = size_of(*thinking, "budget_tokens")) conversation.thinking.budget = *budget;
  }
  request.prompt = std::move(conversation);
  std::string model = request.model;
  call.requests.push_back(std::move(request));
  call.format = std::make_unique<MessagesFormat>(std::move(model));
  return call;
}

}  // namespace carat
