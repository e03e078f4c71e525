// CommandTools: tools that are commands of this machine, as a file lists them.
#pragma once

#include <chrono>
#include <filesystem>
#include <string_view>

#include "agent/toolbox.h"

namespace carat {

// A command gets the arguments of a call as one line of JSON on its standard input; what it prints is the result. No
// shell is involved, and nothing of a call becomes part of a command line.
//
//   [{"name": "weather", "description": "The weather now",
//     "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
//     "command": ["python3", "weather.py"], "timeout_seconds": 10}]
class CommandTools final : public ToolSource {
 public:
  static constexpr std::size_t kMaxOutputBytes = 64 << 10;  // what a model is given of a command's output

  // document: such a list, or {"tools": [...]}. `where` begins messages. timeout: for tools that have none of their
  // own. Throws Error(kBadInput), naming tool and field.
  CommandTools(const json::value& document, std::string_view where, std::chrono::seconds timeout);

  const std::vector<ToolDescription>& tools() const override { return tools_; }
  ToolResult call(std::size_t tool, const json::object& arguments) override;

 private:
  struct Command {
    std::vector<std::string> words;
    std::chrono::seconds timeout;
  };
  std::vector<ToolDescription> tools_;
  std::vector<Command> commands_;  // one for each tool
};

}  // namespace carat
