// From argv to what is to be done.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/command_info.h"

namespace carat {

// carat with all its verbs.
CommandInfo all_commands();

// What the command line asks for; printing help is an action too. arguments: without the program's name.
// Throws UsageError that says what is wrong, what may be meant, and where help is.
Action parse_command_line(const std::vector<std::string>& arguments);

std::string_view version();

}  // namespace carat
