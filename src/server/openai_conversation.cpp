#include "server/openai_conversation.h"

#include <algorithm>

#include "server/api_error.h"
#include "server/dialect.h"

namespace carat {
namespace {

// One part of a message; `at` is its place, "messages[0].content[1]".
void add_part(const json::object& part, const std::string& at, std::optional<std::size_t> soft_tokens,
              const FetchMedia& fetch, std::vector<ContentPart>& content) {
  const std::string type = string_of(part, "type");
  if (type == "text" || type == "refusal") {
    content.emplace_back(TextPart{string_of(part, type)});
  } else if (type == "image_url") {
    const json::value& image = part.at("image_url");
    const bool is_url = image.is_string();
    const std::string url = is_url ? std::string(image.get_string()) : string_of(image.get_object(), "url");
    MediaPart media = media_of_url(url, MediaKind::kImage, at + (is_url ? ".image_url" : ".image_url.url"), fetch);
    media.max_soft_tokens = soft_tokens;
    if (!is_url) {
      const json::object& object = image.get_object();
      if (const auto of_detail = soft_tokens_of_detail(string_of(object, "detail"))) media.max_soft_tokens = of_detail;
      if (const auto stated = size_of(object, "max_soft_tokens")) media.max_soft_tokens = stated;
    }
    if (const auto stated = size_of(part, "max_soft_tokens")) media.max_soft_tokens = stated;
    content.emplace_back(std::move(media));
  } else if (type == "input_audio") {
    const std::string data = string_of(part.at("input_audio").get_object(), "data");
    content.emplace_back(media_of_base64(data, MediaKind::kAudio, at + ".input_audio.data"));
  } else if (type == "input_video") {
    const std::string data = string_of(part.at("input_video").get_object(), "data");
    content.emplace_back(media_of_base64(data, MediaKind::kVideo, at + ".input_video.data"));
  } else if (type == "video_url") {
    const std::string url = string_of(part.at("video_url").get_object(), "url");
    content.emplace_back(media_of_url(url, MediaKind::kVideo, at + ".video_url.url", fetch));
  } else {
    throw ApiError(400, "unsupported_value", str(at, ": parts of type \"", printable(type), "\" are not supported."),
                   at);
  }
}

std::vector<ContentPart> content_of(const json::object& message, const std::string& at,
                                    std::optional<std::size_t> soft_tokens, const FetchMedia& fetch) {
  std::vector<ContentPart> content;
  const json::value* value = find_member(message, "content");
  if (value == nullptr) return content;
  if (value->is_string()) {
    content.emplace_back(TextPart{std::string(value->get_string())});
    return content;
  }
  const json::array& parts = value->get_array();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    add_part(parts[i].get_object(), str(at, ".content[", i, "]"), soft_tokens, fetch, content);
  }
  return content;
}

PastToolCall past_call(const json::object& function, std::string id, const std::string& at) {
  return {std::move(id), string_of(function, "name"),
          arguments_of(function.if_contains("arguments"), at + ".arguments")};
}

Role role_of(std::string_view role) {
  if (role == "user") return Role::kUser;
  if (role == "assistant") return Role::kAssistant;
  return role == "tool" || role == "function" ? Role::kTool : Role::kSystem;
}

// Names of [{type, function: {name}}] or [{type, name}].
std::vector<std::string> allowed_names(const json::array& tools) {
  std::vector<std::string> names;
  for (const json::value& tool : tools) {
    const json::object& object = tool.get_object();
    const json::object* function = object_of(object, "function");
    names.push_back(string_of(function != nullptr ? *function : object, "name"));
  }
  return names;
}

void choose_named(ToolChoice& choice, std::string name) {
  choice.mode = ToolMode::kRequired;
  choice.allowed = {std::move(name)};
}

}  // namespace

std::vector<Message> messages_from_openai(const json::array& messages, std::optional<std::size_t> soft_tokens,
                                          const FetchMedia& fetch) {
  std::vector<Message> out;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string at = str("messages[", i, "]");
    const json::object& object = messages[i].get_object();
    Message message;
    const std::string role = string_of(object, "role");
    message.role = role_of(role);
    message.content = content_of(object, at, soft_tokens, fetch);
    if (message.role == Role::kAssistant) {
      message.reasoning = string_of(object, "reasoning_content");
      if (message.reasoning.empty()) message.reasoning = string_of(object, "reasoning");
      if (const json::array* calls = array_of(object, "tool_calls")) {
        for (std::size_t c = 0; c < calls->size(); ++c) {
          const json::object& call = (*calls)[c].get_object();
          message.tool_calls.push_back(past_call(call.at("function").get_object(), string_of(call, "id"),
                                                 str(at, ".tool_calls[", c, "].function")));
        }
      }
      if (const json::object* call = object_of(object, "function_call")) {
        message.tool_calls.push_back(past_call(*call, "", at + ".function_call"));
      }
    } else if (message.role == Role::kTool) {
      message.tool_call_id = string_of(object, "tool_call_id");
      message.tool_name = string_of(object, "name");
    }
    out.push_back(std::move(message));
  }
  return out;
}

Tool tool_from_function(const json::object& function) {
  Tool tool;
  tool.name = string_of(function, "name");
  tool.function = function;
  tool.function.erase("strict");
  tool.is_strict = boolean_of(function, "strict").value_or(false);
  return tool;
}

std::vector<Tool> tools_from_openai(const json::array& tools) {
  std::vector<Tool> out;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const json::object& tool = tools[i].get_object();
    const std::string at = str("tools[", i, "]");
    if (string_of(tool, "type") != "function") {
      throw ApiError(400, "unsupported_value", str(at, ": only tools of type \"function\" are supported."), at);
    }
    const json::object* function = object_of(tool, "function");
    if (function == nullptr) throw ApiError(400, "missing_required_parameter", at + ".function is required.", at);
    out.push_back(tool_from_function(*function));
  }
  return out;
}

void read_tool_choice(const json::object& body, Conversation& conversation) {
  ToolChoice& choice = conversation.tool_choice;
  choice.allows_parallel = boolean_of(body, "parallel_tool_calls").value_or(true);
  const json::value* value = find_member(body, "tool_choice");
  if (value == nullptr) value = find_member(body, "function_call");
  if (value == nullptr) return;
  if (value->is_string()) {
    const std::string_view mode = value->get_string();
    choice.mode = mode == "none" ? ToolMode::kNone : mode == "required" ? ToolMode::kRequired : ToolMode::kAuto;
  } else {
    const json::object& object = value->get_object();
    const std::string type = string_of(object, "type");
    const json::object* allowed = object_of(object, "allowed_tools");
    if (type == "allowed_tools") {
      const json::object& rules =
          allowed != nullptr ? *allowed : object;  // the Responses interface has no inner object
      const json::array* tools = array_of(rules, "tools");
      choice.mode = string_of(rules, "mode") == "required" ? ToolMode::kRequired : ToolMode::kAuto;
      if (tools != nullptr) choice.allowed = allowed_names(*tools);
    } else if (type == "function" || type.empty()) {
      const json::object* function = object_of(object, "function");
      choose_named(choice, string_of(function != nullptr ? *function : object, "name"));
    } else {
      throw ApiError(400, "unsupported_value", str("tool_choice: type \"", printable(type), "\" is not supported."),
                     "tool_choice");
    }
  }
  for (const std::string& name : choice.allowed) {
    if (std::ranges::find(conversation.tools, name, &Tool::name) == conversation.tools.end()) {
      throw ApiError(400, "invalid_value",
                     str("tool_choice names \"", printable(name), "\", which is not among tools."), "tool_choice");
    }
  }
  if (choice.mode == ToolMode::kRequired && conversation.tools.empty()) {
    throw ApiError(400, "invalid_value", "tool_choice requires a call, but there are no tools.", "tool_choice");
  }
}

OutputFormat format_from_openai(const json::object& format, const std::string& param) {
  OutputFormat out;
  const std::string type = string_of(format, "type");
  const auto missing = [&](const char* member) {
    return ApiError(400, "missing_required_parameter", str(param, ".", member, " is required."), param);
  };
  if (type == "json_object") {
    out.kind = FormatKind::kJsonObject;
  } else if (type == "json_schema") {
    // In the Responses interface the schema stands in the format itself.
    const json::object* inner = object_of(format, "json_schema");
    const json::object& holder = inner != nullptr ? *inner : format;
    const json::object* schema = object_of(holder, "schema");
    if (inner == nullptr && schema == nullptr) throw missing("json_schema");
    out.kind = FormatKind::kJsonSchema;
    out.schema = schema != nullptr ? *schema : json::object{};
  } else if (type == "regex") {
    out.kind = FormatKind::kRegex;
    out.text = string_of(format, "regex");
    if (out.text.empty()) throw missing("regex");
  } else if (type == "grammar") {
    out.kind = FormatKind::kGbnf;
    out.text = string_of(format, "grammar");
    if (out.text.empty()) throw missing("grammar");
  } else if (type == "choice") {
    out.kind = FormatKind::kChoice;
    const json::array* choices = array_of(format, "choices");
    if (choices == nullptr) throw missing("choices");
    for (const json::value& choice : *choices) out.choices.emplace_back(choice.get_string());
  }
  return out;
}

void read_thinking(const json::object& body, Conversation& conversation) {
  const std::string effort = string_of(body, "reasoning_effort");
  if (const auto thinking = thinking_of_effort(effort); !effort.empty() && thinking) conversation.thinking = *thinking;
  if (const auto budget = size_of(body, "thinking_budget")) conversation.thinking.budget = *budget;
  const json::object* variables = object_of(body, "chat_template_kwargs");
  if (variables == nullptr) return;
  conversation.template_options = *variables;
  if (const auto enabled = boolean_of(*variables, "enable_thinking")) conversation.thinking.is_enabled = *enabled;
  conversation.template_options.erase("enable_thinking");
}

}  // namespace carat
