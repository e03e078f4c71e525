// A Jinja template: parsed once, rendered any number of times.
//
// It gives, byte for byte, what Python's jinja2 3.1 gives in the environment that transformers sets up for chat
// templates: ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, break and continue, the generation tag, and
// transformers' own tojson, raise_exception and strftime_now. Bounded as jinja_runtime.h says; a template reaches
// nothing of the host but the time. Left out: inheritance, includes and imports, recursive loops, integers beyond 64
// bits, automatic escaping, and the filters and methods of the tables that say so. These fail with an error, they never
// differ silently.
#pragma once

#include <ctime>
#include <map>
#include <string>
#include <string_view>

#include "chat/jinja_ast.h"
#include "chat/jinja_value.h"
#include "chat/marked_text.h"

namespace carat::jinja {

using Variables = std::map<std::string, Value, std::less<>>;

class Template {
 public:
  // Throws Error(kBadFile), naming line and reason, when source is no template, or is longer than 256 KiB.
  explicit Template(std::string_view source);

  // Throws Error(kBadInput), naming line and reason. Threads may render at the same time, each with its own Runtime.
  MarkedText render(Runtime& rt, const Variables& variables) const;

 private:
  Program program_;
};

}  // namespace carat::jinja
