// OpenAI's messages, tools and formats -> a Conversation. Ollama's tools have the same form.
#pragma once

#include <string>

#include "base/json.h"
#include "engine/request.h"
#include "server/dialect.h"

namespace carat {

// [{role, content, ...}] of a validated body. soft_tokens: for pictures that state none of their own.
// Throws ApiError naming the place.
std::vector<Message> messages_from_openai(const json::array& messages, std::optional<std::size_t> soft_tokens,
                                          const FetchMedia& fetch);

// [{type: "function", function: {name, description, parameters, strict}}].
std::vector<Tool> tools_from_openai(const json::array& tools);
Tool tool_from_function(const json::object& function);

// tool_choice and parallel_tool_calls; functions and function_call, their old form, too.
void read_tool_choice(const json::object& body, Conversation& conversation);

// response_format.
OutputFormat format_from_openai(const json::object& format, const std::string& param);

// reasoning_effort, thinking_budget, chat_template_kwargs.
void read_thinking(const json::object& body, Conversation& conversation);

}  // namespace carat
