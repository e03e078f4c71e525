// Expressions of EBNF for numbers within bounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "grammar/schema.h"

namespace carat {

// The numbers as text, at most 15 digits before the point: more than that a double doesn't hold exactly. With a bound,
// at most 6 digits behind it and no exponent. Empty when there is no such number.
std::string number_expression(const NumberValue& value);

// Whole numbers from low to high, both included, without leading zeros; empty when low > high.
std::string integer_expression(std::int64_t low, std::int64_t high);

}  // namespace carat
