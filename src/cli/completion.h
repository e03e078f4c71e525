// Shell completion, made from the definitions of the verbs.
#pragma once

#include <string>

#include "cli/command_info.h"

namespace carat {

std::string bash_completion(const CommandInfo& root);
std::string zsh_completion(const CommandInfo& root);
std::string fish_completion(const CommandInfo& root);

}  // namespace carat
