// Python's operators on template values: truth, order, arithmetic, membership, iteration, indexing.
// Where Python raises an exception, the Runtime fails with Python's words.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "chat/jinja_value.h"

namespace carat::jinja {

[[noreturn]] void fail_undefined(Runtime& rt, const Value& undefined);

bool truth(const Value& value);

enum class CompareOp { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
bool compare(Runtime& rt, CompareOp op, const Value& a, const Value& b);
bool equal(Runtime& rt, const Value& a, const Value& b);
bool less(Runtime& rt, const Value& a, const Value& b);

enum class ArithmeticOp { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
Value arithmetic(Runtime& rt, ArithmeticOp op, const Value& a, const Value& b);
Value negated(Runtime& rt, const Value& value);
Value unary_plus(Runtime& rt, const Value& value);

// len(); nothing for a value that has no length.
std::optional<std::size_t> length_of(const Value& value);
// iter(): the elements in order; nothing for a value that can't be iterated. An iterator is used up.
std::shared_ptr<const Items> try_iterate(Runtime& rt, const Value& value);
std::shared_ptr<const Items> iterate(Runtime& rt, const Value& value);  // fails instead

// object.name and object[index] as Jinja defines them: each falls back on the other.
Value get_attribute(Runtime& rt, const Value& object, const Value& name);  // name: a string
Value get_item(Runtime& rt, const Value& object, const Value& index);
// object[start:stop:step]; absent bounds are none.
Value get_slice(Runtime& rt, const Value& object, const Value& start, const Value& stop, const Value& step);

// The value of an int or bool; nothing for other values.
std::optional<std::int64_t> integer_of(const Value& value);
std::optional<double> float_of(const Value& value);  // of any number

}  // namespace carat::jinja
