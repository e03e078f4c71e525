#include "agent/agent_loop.h"

#include <vector>

#include "base/error.h"

namespace carat {
namespace {

struct Call {
  std::string id;
  std::string name;
  json::object arguments;
};

// The calls of a turn, with ids that no earlier turn has.
std::vector<Call> calls_of(const ModelTurn& turn, std::size_t& last_id) {
  std::vector<Call> calls;
  for (const json::value& call : turn.tool_calls) {
    const json::object& object = call.as_object();
    calls.push_back(
        {str("call_", ++last_id), std::string(object.at("name").as_string()), object.at("arguments").as_object()});
  }
  return calls;
}

json::object message_of(const ModelTurn& turn, const std::vector<Call>& calls) {
  json::object message{{"role", "assistant"}, {"content", turn.content}};
  // Thoughts belong to the turn as long as it goes on; the template leaves out those of earlier turns.
  if (!turn.reasoning.empty()) message["reasoning"] = turn.reasoning;
  if (calls.empty()) return message;
  json::array list;
  for (const Call& call : calls) {
    list.push_back(
        {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  message["tool_calls"] = std::move(list);
  return message;
}

}  // namespace

AgentEnding run_agent(json::array& messages, const Toolbox& toolbox, const AgentHooks& hooks, std::size_t max_rounds) {
  std::size_t last_id = messages.size();
  for (std::size_t round = 0;; ++round) {
    const ModelTurn turn = hooks.ask(messages);
    if (!turn.is_whole || turn.tool_calls.empty()) {
      messages.push_back(message_of(turn, {}));
      if (!turn.is_whole) return AgentEnding::kCut;
      return turn.content.empty() ? AgentEnding::kSilent : AgentEnding::kAnswered;
    }
    if (round == max_rounds) return AgentEnding::kRounds;

    const std::vector<Call> calls = calls_of(turn, last_id);
    messages.push_back(message_of(turn, calls));
    std::vector<bool> may_be_made;
    for (const Call& call : calls) may_be_made.push_back(hooks.may_call(call.name, call.arguments));
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const ToolResult result = may_be_made[i]
                                    ? toolbox.call(calls[i].name, calls[i].arguments)
                                    : ToolResult{.text = "The user did not allow this call.", .is_error = true};
      if (hooks.on_result) hooks.on_result(calls[i].name, result);
      messages.push_back({{"role", "tool"},
                          {"tool_call_id", calls[i].id},
                          {"name", calls[i].name},
                          {"content", result.is_error ? str("Error: ", result.text) : result.text}});
    }
  }
}

}  // namespace carat
