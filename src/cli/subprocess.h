// Runs another program and waits for it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

// Exit code of the program, 128 + number where a signal ended it; nullopt where it can't be started. It is looked for
// in PATH and shares the terminal; Ctrl-C meanwhile is its own. input, if given, is what it reads.
std::optional<int> run_program(const std::vector<std::string>& command,
                               std::optional<std::string_view> input = std::nullopt);

}  // namespace carat
