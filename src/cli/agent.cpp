#include "cli/agent.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "agent/command_tools.h"
#include "agent/mcp_client.h"
#include "cli/terminal.h"

namespace carat {
namespace {

constexpr std::size_t kShownBytes = 2000;

void add_counts(AnswerStats& total, const AnswerStats& turn) {
  total.prompt_tokens += turn.prompt_tokens;
  total.reused_tokens += turn.reused_tokens;
  total.generated_tokens += turn.generated_tokens;
  total.prefill_seconds += turn.prefill_seconds;
  total.generation_seconds += turn.generation_seconds;
}

void write_line(const json::object& event) {
  write_stdout(json::serialize(event) + "\n");
}

std::string remark(AgentEnding ending, std::size_t max_rounds) {
  switch (ending) {
    case AgentEnding::kSilent:
      return "(the model ended its turn without an answer)\n";
    case AgentEnding::kRounds:
      return str("(stopped: the model still calls tools after ", max_rounds,
                 " rounds; --max-tool-rounds allows more)\n");
    case AgentEnding::kAnswered:
    case AgentEnding::kCut:
      break;
  }
  return "";
}

}  // namespace

void add_tool_flags(Command verb, ToolFlags& flags) {
  constexpr const char* kGroup = "Tools";
  verb.option("--tools", flags.file, "A JSON file of commands that the model may call").value("FILE").group(kGroup);
  verb.option("--mcp", flags.mcp_commands, "A command that starts an MCP server; once for each")
      .value("COMMAND")
      .once_each()
      .group(kGroup);
  verb.flag("--yes", flags.is_confirmed, "Make calls without asking").group(kGroup);
  add_count(verb, "--max-tool-rounds", flags.max_rounds, 1, 1000,
            "How often the model gets results before it has to answer")
      .group(kGroup);
  add_count(verb, "--tool-timeout", flags.timeout_seconds, 1, 3600, "Seconds that a call may take").group(kGroup);
}

Toolbox open_tools(const ToolFlags& flags) {
  const std::chrono::seconds timeout(flags.timeout_seconds);
  Toolbox toolbox;
  if (!flags.file.empty()) {
    const json::value document = parse_json(read_input_file(flags.file), flags.file, ErrorKind::kBadInput);
    toolbox.add(std::make_unique<CommandTools>(document, flags.file, timeout));
  }
  for (const std::string& command : flags.mcp_commands) {
    toolbox.add(std::make_unique<McpClient>(split_words(command), timeout));
  }
  return toolbox;
}

CallDesk::CallDesk(const ToolFlags& flags, bool has_json_events)
    : allows_all_(flags.is_confirmed), has_json_events_(has_json_events) {
  if (allows_all_) return;
  terminal_ = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (terminal_ < 0) {
    throw Error(ErrorKind::kBadInput,
                "calls of tools have to be confirmed, and there is no terminal to ask at. --yes allows all of them.");
  }
}

CallDesk::~CallDesk() {
  if (terminal_ >= 0) ::close(terminal_);
}

bool CallDesk::may_call(const std::string& name, const json::object& arguments) {
  const std::string call = str(printable(name), " ", printable(json::serialize(arguments), kShownBytes));
  if (has_json_events_) write_line({{"type", "tool_call"}, {"name", name}, {"arguments", arguments}});
  if (allows_all_) {
    if (!has_json_events_) write_stderr(str("[calls ", call, "]\n"));
    return true;
  }
  const std::string question = str("\nThe model wants to call ", call, "\nAllow it? [y]es, [n]o, [a]ll from now on: ");
  if (::write(terminal_, question.data(), question.size()) < 0) return false;
  std::array<char, 256> answer{};
  const ssize_t size = ::read(terminal_, answer.data(), answer.size());
  if (size > 0 && answer[0] == 'a') allows_all_ = true;
  return size > 0 && (answer[0] == 'y' || answer[0] == 'a');
}

void CallDesk::show_result(const std::string& name, const ToolResult& result) const {
  if (has_json_events_) {
    write_line({{"type", "tool_result"}, {"name", name}, {"text", result.text}, {"is_error", result.is_error}});
    return;
  }
  write_stderr(
      str("[", printable(name), result.is_error ? " failed: " : " says: ", printable(result.text, kShownBytes), "]\n"));
}

Reply reply_with_tools(Responder& responder, json::array& messages, const LoadedMedia& media, Tools& tools,
                       const RunOptions& options, const ReplyOptions& how, const ReplySink& sink,
                       const std::function<bool()>& is_cancelled) {
  const Toolbox& toolbox = tools.toolbox;
  CallDesk& desk = tools.desk;
  ReplyOptions with_tools = how;
  with_tools.tools = toolbox.to_json();
  for (const ToolDescription& tool : toolbox.tools()) {
    with_tools.form.tools.push_back({.name = tool.name, .parameters = tool.parameters});
  }
  ReplySink turn_sink = sink;
  turn_sink.shows_calls = false;  // the desk does

  Reply last;
  AnswerStats total;
  const auto ask = [&](const json::array& shown) {
    last = responder.reply(shown, media, with_tools, options.answer, turn_sink, is_cancelled);
    add_counts(total, last.answer.stats);
    return ModelTurn{.content = last.content,
                     .reasoning = last.thinking,
                     .tool_calls = last.tool_calls,
                     .is_whole = last.answer.finish_reason == FinishReason::kStop};
  };
  const AgentEnding ending = run_agent(
      messages, toolbox,
      {.ask = ask,
       .may_call = [&](const std::string& name,
                       const json::object& arguments) { return desk.may_call(name, arguments); },
       .on_result = [&](const std::string& name, const ToolResult& result) { desk.show_result(name, result); }},
      options.tools.max_rounds);
  write_stderr(remark(ending, options.tools.max_rounds));
  last.answer.stats = total;
  return last;
}

}  // namespace carat
