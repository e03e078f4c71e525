// Attributes and methods of Python's built-in types, and the global functions of a template.
#pragma once

#include <optional>
#include <string_view>

#include "chat/jinja_value.h"

namespace carat::jinja {

// Python's object.name, or nothing when there is no such attribute or a sandbox hides it: names with a leading
// underscore and methods that would change a list or dict.
std::optional<Value> python_attribute(Runtime& rt, const Value& object, std::string_view name);

// Calls a method that python_attribute gave.
Value call_method(Runtime& rt, const Callable& method, const Arguments& arguments);

// A global function by name ("range", "dict", ...), or nothing. The evaluator itself makes namespaces.
std::optional<Value> global_function(std::string_view name);
Value call_global_function(Runtime& rt, std::string_view name, const Arguments& arguments);

// str.replace: the first `count` occurrences, all when negative.
MarkedText replaced(Runtime& rt, const MarkedText& text, const MarkedText& old, const MarkedText& by,
                    std::int64_t count);

}  // namespace carat::jinja
