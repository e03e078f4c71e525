// CommandInfo: a verb's definition as plain data, taken from CLI11: what help, manual pages and shell completion are
// made of.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace carat {

struct OptionInfo {
  std::vector<std::string> names;  // "-t", "--threads"; of an argument its one name
  std::string value;               // what follows: "N", "f32|f16"; empty for a flag
  std::vector<std::string> choices;
  std::string what;  // with its default, where it has one
  std::string group;
  bool is_file = false;
  bool is_required = false;
};

struct CommandInfo {
  std::string path;  // "carat debug tokenize"
  std::string name;  // "tokenize"
  std::string what;
  std::string example;
  std::vector<OptionInfo> arguments;
  std::vector<OptionInfo> options;
  std::vector<CommandInfo> commands;
};

// prefix: what stands before the command's name in its path, with a blank; empty for the root.
CommandInfo command_info(Command command, const std::string& prefix = {});

// This command and all below it, depth first.
std::vector<const CommandInfo*> with_descendants(const CommandInfo& root);

// "carat run [OPTIONS] MODEL [PROMPT]"
std::string usage_line(const CommandInfo& command);
// What --help prints: at most 100 columns wide.
std::string help_text(const CommandInfo& command);

}  // namespace carat
