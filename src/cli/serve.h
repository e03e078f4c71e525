// `carat serve`.
#pragma once

#include "cli/command.h"

namespace carat {

void define_serve(CLI::App& root, Action& action);

}  // namespace carat
