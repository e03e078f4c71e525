// The chat templates that carat brings for model files that carry none. Their text lies in src/chat/templates.
#pragma once

#include <string_view>

namespace carat {

extern const std::string_view gemma4_template;  // Google's, as published with gemma-4-31B-it
extern const std::string_view gemma3_template;  // the same protocol as Google's for Gemma 3, in our own words

}  // namespace carat
