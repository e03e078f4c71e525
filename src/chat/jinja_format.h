// Values as text: Python's str(), repr(), json.dumps, the % operator and str.format. Marks are kept: what comes from a
// request's strings stays untrusted, quotes, brackets and digits around it are the template's.
#pragma once

#include <optional>
#include <string>

#include "chat/jinja_value.h"

namespace carat::jinja {

MarkedText to_text(Runtime& rt, const Value& value);  // str()
MarkedText repr(Runtime& rt, const Value& value);
std::string float_repr(double value);

struct JsonStyle {
  std::optional<std::string> indent;  // of one level; absent: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ensure_ascii = false;
};
MarkedText to_json(Runtime& rt, const Value& value, const JsonStyle& style);

// format % value
MarkedText percent_format(Runtime& rt, const MarkedText& format, const Value& value);
// format.format(arguments), fields without format specifications
MarkedText brace_format(Runtime& rt, const MarkedText& format, const Arguments& arguments);

}  // namespace carat::jinja
