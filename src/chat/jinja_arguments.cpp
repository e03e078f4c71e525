#include "chat/jinja_arguments.h"

#include <algorithm>

#include "chat/jinja_operators.h"

namespace carat::jinja {

Bound::Bound(Runtime& rt, std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters, std::size_t required)
    : rt_(rt), function_(function), values_(parameters.size(), nullptr) {
  if (arguments.positional.size() > parameters.size()) {
    rt.fail(function, " takes at most ", parameters.size(), " arguments (", arguments.positional.size(), " given)");
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto* found = std::find(parameters.begin(), parameters.end(), name.text_if()->view());
    if (found == parameters.end()) {
      rt.fail(function, " got an unexpected keyword argument '", printable(name.text_if()->view()), "'");
    }
    const Value*& place = values_[static_cast<std::size_t>(found - parameters.begin())];
    if (place != nullptr) rt.fail(function, " got multiple values for argument '", *found, "'");
    place = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) rt.fail(function, " misses its argument '", *(parameters.begin() + i), "'");
  }
}

bool Bound::flag(std::size_t i) const {
  return has(i) && truth(*values_[i]);
}

std::int64_t Bound::integer(std::size_t i, std::int64_t fallback) const {
  if (!has(i)) return fallback;
  const auto number = integer_of(*values_[i]);
  if (!number) rt_.fail(function_, ": '", type_name(*values_[i]), "' object cannot be interpreted as an integer");
  return *number;
}

const MarkedText& Bound::text(std::size_t i) const {
  const MarkedText* text = values_[i]->text_if();
  if (text == nullptr) rt_.fail(function_, ": argument must be str, not ", type_name(*values_[i]));
  return *text;
}

}  // namespace carat::jinja
