// Reads a Jinja template into its syntax tree, all names resolved.
#pragma once

#include <string_view>

#include "chat/jinja_ast.h"

namespace carat::jinja {

// Throws Error(kBadFile), naming line and reason, on a syntax error and on what is not supported: inheritance,
// includes, imports and recursive loops, which need other files or have no use in chat templates. source: valid UTF-8.
Program parse(std::string_view source);

}  // namespace carat::jinja
