// Paths that a person types in a chat: "~" for home, and what the tab key makes of a beginning.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace carat {

// "~" and "~/..." under the user's home; anything else as it is.
std::string expand_home(std::string_view path);

// All paths that begin like this, as typed (with "~"), folders with a slash at the end, in order. Names that begin
// with a dot only where the dot was typed.
std::vector<std::string> complete_path(std::string_view beginning);

}  // namespace carat
