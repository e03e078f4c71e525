// Jinja's built-in filters and tests.
#pragma once

#include <string_view>

#include "chat/jinja_value.h"

namespace carat::jinja {

// input|name(arguments). Fails when there is no such filter.
Value apply_filter(Runtime& rt, std::string_view name, const Value& input, const Arguments& arguments);

// input is name(arguments). Fails when there is no such test.
bool apply_test(Runtime& rt, std::string_view name, const Value& input, const Arguments& arguments);

bool is_filter_name(std::string_view name);
bool is_test_name(std::string_view name);

}  // namespace carat::jinja
