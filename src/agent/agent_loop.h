// The agent loop: the model calls tools, gets their results, and goes on, until it has an answer.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "agent/toolbox.h"
#include "base/json.h"

namespace carat {

// What the model did with a conversation.
struct ModelTurn {
  std::string content = {};
  std::string reasoning = {};
  json::array tool_calls = {};  // [{"name", "arguments"}]
  bool is_whole = true;         // it ended its turn itself: it was neither stopped nor out of tokens
};

struct AgentHooks {
  // Lets the model continue the conversation: {role, content, tool_calls, ...} as chat templates take them.
  std::function<ModelTurn(const json::array& messages)> ask;
  // Whether a call may be made. Asked for each, in order, before any of them is.
  std::function<bool(const std::string& name, const json::object& arguments)> may_call;
  std::function<void(const std::string& name, const ToolResult& result)> on_result;  // may be empty
};

enum class AgentEnding {
  kAnswered,  // with an answer
  kSilent,    // the model ended its turn and had said nothing
  kCut,       // the model was stopped, or ran out of tokens; calls it had made are not run
  kRounds,    // it still called tools after max_rounds; these calls are not run
};

// Goes on with the conversation, to which it appends the model's turns and the results of its calls. A call that may
// not be made has that as its result. max_rounds: how often the model gets results.
AgentEnding run_agent(json::array& messages, const Toolbox& toolbox, const AgentHooks& hooks, std::size_t max_rounds);

}  // namespace carat
