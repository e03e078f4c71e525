// Binds the arguments of a call to the parameters of a built-in function.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "chat/jinja_value.h"

namespace carat::jinja {

class Bound {
 public:
  // Fails, naming the function, when there are too many arguments, an unknown or repeated name, or fewer than
  // `required`.
  Bound(Runtime& rt, std::string_view function, const Arguments& arguments,
        std::initializer_list<std::string_view> parameters, std::size_t required = 0);

  bool has(std::size_t i) const { return values_[i] != nullptr; }
  bool has_value(std::size_t i) const { return has(i) && !values_[i]->is<None>(); }  // given and not none
  const Value& operator[](std::size_t i) const { return *values_[i]; }
  Value value_or(std::size_t i, const Value& fallback) const { return has(i) ? *values_[i] : fallback; }

  bool flag(std::size_t i) const;  // truth of an argument; false when absent
  std::int64_t integer(std::size_t i, std::int64_t fallback) const;
  const MarkedText& text(std::size_t i) const;  // of an argument that must be a string

 private:
  Runtime& rt_;
  std::string_view function_;
  std::vector<const Value*> values_;  // into the arguments; null when absent
};

}  // namespace carat::jinja
