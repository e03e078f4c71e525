// McpClient: the tools of an MCP server that is started as a program and spoken to over its standard input and output.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "agent/child_process.h"
#include "agent/toolbox.h"

namespace carat {

// Speaks JSON-RPC 2.0, a message a line (Model Context Protocol, revisions 2024-11-05 to 2025-06-18, transport
// "stdio"): initialize, tools/list, tools/call. The server may ping; asked for anything else, the client says that it
// has no such method.
class McpClient final : public ToolSource {
 public:
  static constexpr std::size_t kMaxMessageBytes = 8 << 20;  // of one line
  static constexpr std::size_t kMaxResultBytes = 64 << 10;  // what a model is given of a result

  // Starts the server and asks for its tools. Throws Error: kNotFound when the program can't be started, kBadInput when
  // it doesn't answer within the timeout or not as it should; the end of its stderr is part of the message.
  McpClient(const std::vector<std::string>& command, std::chrono::seconds timeout);

  const std::vector<ToolDescription>& tools() const override { return tools_; }
  ToolResult call(std::size_t tool, const json::object& arguments) override;

 private:
  // The result of a request. Throws Error(kBadInput) when the server answers with an error, too late, or no more.
  json::value request(const char* method, json::object parameters);
  void send(const json::object& message);
  json::value receive(std::int64_t id, ChildProcess::Deadline deadline, const char* method);
  std::string take_line(ChildProcess::Deadline deadline, const char* method);
  void answer(const json::object& request);
  [[noreturn]] void fail(const std::string& what) const;
  void list_tools();

  std::string name_;
  std::chrono::seconds timeout_;
  std::unique_ptr<ChildProcess> process_;
  std::int64_t last_id_ = 0;
  bool is_gone_ = false;
  std::vector<ToolDescription> tools_;
};

// Words as a shell would split them: at white space, with 'single' and "double" quotes and backslashes; nothing is
// expanded. Throws Error(kBadInput) for a quote that isn't closed.
std::vector<std::string> split_words(std::string_view text);

}  // namespace carat
