// `carat run --tools, --mcp`: tools for the model, each call shown and confirmed.
#pragma once

#include <functional>
#include <string_view>

#include "agent/agent_loop.h"
#include "agent/toolbox.h"
#include "cli/command.h"
#include "cli/responder.h"
#include "cli/run_options.h"

namespace carat {

void add_tool_flags(Command verb, ToolFlags& flags);

// Reads the file and starts the servers. Throws Error(kBadInput, kNotFound).
Toolbox open_tools(const ToolFlags& flags);

// Shows calls and results, and asks whether a call may be made.
class CallDesk {
 public:
  // json_events: calls and results go to stdout as JSON lines, instead of to stderr in words.
  // Throws Error(kBadInput) when calls would have to be confirmed and there is no terminal to do it at.
  CallDesk(const ToolFlags& flags, bool has_json_events);
  ~CallDesk();
  CallDesk(const CallDesk&) = delete;
  CallDesk& operator=(const CallDesk&) = delete;

  // False as well when a signal came instead of an answer.
  bool may_call(const std::string& name, const json::object& arguments);
  void show_result(const std::string& name, const ToolResult& result) const;

 private:
  bool allows_all_;
  bool has_json_events_;
  int terminal_ = -1;  // for questions; stdin may be a pipe
};

// What the model may call, and who is asked about it.
struct Tools {
  // Throws as its parts.
  Tools(const ToolFlags& flags, bool has_json_events) : desk(flags, has_json_events), toolbox(open_tools(flags)) {}

  CallDesk desk;
  Toolbox toolbox;
};

// Answers the conversation with the help of tools; the turns are appended to messages. media: as Responder::reply. The
// reply's content and thinking are those of the last turn, its counts of tokens the sums of all.
Reply reply_with_tools(Responder& responder, json::array& messages, const LoadedMedia& media, Tools& tools,
                       const RunOptions& options, const ReplyOptions& how, const ReplySink& sink,
                       const std::function<bool()>& is_cancelled = {});

}  // namespace carat
