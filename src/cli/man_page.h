// Manual pages in man(7) roff, made from the definitions of the verbs.
#pragma once

#include <string>
#include <string_view>

#include "cli/command_info.h"

namespace carat {

// The page of a command: carat(1) for the root, carat-run(1) for `carat run`. Commands below it are described in it
// where it is not the root.
std::string man_page(const CommandInfo& command, const CommandInfo& root, std::string_view version);

}  // namespace carat
