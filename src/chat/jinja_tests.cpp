#include <algorithm>
#include <string>
#include <utility>

#include "chat/jinja_arguments.h"
#include "chat/jinja_filters.h"
#include "chat/jinja_format.h"
#include "chat/jinja_operators.h"
#include "chat/python_text.h"

namespace carat::jinja {
namespace {

using TestFunction = bool (*)(Runtime& rt, const Value& input, const Arguments& arguments);
struct TestRow {
  std::string_view name;
  TestFunction holds;
};

template <typename T>
bool is_a(Runtime&, const Value& input, const Arguments&) {
  return input.is<T>();
}

template <CompareOp kOp>
bool compares(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "a comparing test", arguments, {"other"}, 1);
  return compare(rt, kOp, input, args[0]);
}

bool is_same_boolean(const Value& input, bool wanted) {
  const bool* boolean = input.get_if<bool>();
  return boolean != nullptr && *boolean == wanted;
}

// Python's "is": one object. Small values count as the same where they are equal.
bool is_same(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "sameas", arguments, {"other"}, 1);
  return type_name(input) == type_name(args[0]) && equal(rt, input, args[0]);
}

bool is_remainder(Runtime& rt, const Value& input, std::int64_t divisor, std::int64_t remainder) {
  return equal(rt, arithmetic(rt, ArithmeticOp::kModulo, input, Value(divisor)), Value(remainder));
}

bool is_iterable(Runtime&, const Value& input, const Arguments&) {
  return length_of(input).has_value() || input.is<Iterator>();
}

// What has a length and can be indexed; also, oddly, a dict and an undefined value.
bool is_sequence(Runtime&, const Value& input, const Arguments&) {
  return length_of(input).has_value() && !input.is<DictView>() && !input.is<Loop*>();
}

constexpr TestRow kTests[] = {
    {"!=", compares<CompareOp::kNotEqual>},
    {"<", compares<CompareOp::kLess>},
    {"<=", compares<CompareOp::kLessEqual>},
    {"==", compares<CompareOp::kEqual>},
    {">", compares<CompareOp::kGreater>},
    {">=", compares<CompareOp::kGreaterEqual>},
    {"boolean", is_a<bool>},
    {"callable",
     [](Runtime&, const Value& x, const Arguments&) { return x.is<Function>() || x.is<Loop*>() || x.is<Undefined>(); }},
    {"defined", [](Runtime&, const Value& x, const Arguments&) { return !x.is<Undefined>(); }},
    {"divisibleby",
     [](Runtime& rt, const Value& x, const Arguments& a) {
       const Bound args(rt, "divisibleby", a, {"num"}, 1);
       return equal(rt, arithmetic(rt, ArithmeticOp::kModulo, x, args[0]), Value(std::int64_t{0}));
     }},
    {"eq", compares<CompareOp::kEqual>},
    {"equalto", compares<CompareOp::kEqual>},
    {"escaped", [](Runtime&, const Value&, const Arguments&) { return false; }},
    {"even", [](Runtime& rt, const Value& x, const Arguments&) { return is_remainder(rt, x, 2, 0); }},
    {"false", [](Runtime&, const Value& x, const Arguments&) { return is_same_boolean(x, false); }},
    {"filter", [](Runtime&, const Value& x,
                  const Arguments&) { return x.text_if() != nullptr && is_filter_name(x.text_if()->view()); }},
    {"float", is_a<double>},
    {"ge", compares<CompareOp::kGreaterEqual>},
    {"greaterthan", compares<CompareOp::kGreater>},
    {"gt", compares<CompareOp::kGreater>},
    {"in", compares<CompareOp::kIn>},
    {"integer", is_a<std::int64_t>},
    {"iterable", is_iterable},
    {"le", compares<CompareOp::kLessEqual>},
    {"lessthan", compares<CompareOp::kLess>},
    {"lower", [](Runtime& rt, const Value& x, const Arguments&) { return is_lower(to_text(rt, x).view()); }},
    {"lt", compares<CompareOp::kLess>},
    {"mapping", is_a<Dict>},
    {"ne", compares<CompareOp::kNotEqual>},
    {"none", is_a<None>},
    {"number", [](Runtime&, const Value& x, const Arguments&) { return x.is_number(); }},
    {"odd", [](Runtime& rt, const Value& x, const Arguments&) { return is_remainder(rt, x, 2, 1); }},
    {"sameas", is_same},
    {"sequence", is_sequence},
    {"string", is_a<String>},
    {"test", [](Runtime&, const Value& x,
                const Arguments&) { return x.text_if() != nullptr && is_test_name(x.text_if()->view()); }},
    {"true", [](Runtime&, const Value& x, const Arguments&) { return is_same_boolean(x, true); }},
    {"undefined", is_a<Undefined>},
    {"upper", [](Runtime& rt, const Value& x, const Arguments&) { return is_upper(to_text(rt, x).view()); }},
};

const TestRow* find_test(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kTests), std::end(kTests), [name](const auto& row) { return row.name == name; });
  return found == std::end(kTests) ? nullptr : found;
}

}  // namespace

bool apply_test(Runtime& rt, std::string_view name, const Value& input, const Arguments& arguments) {
  rt.spend(1);
  const TestRow* test = find_test(name);
  if (test == nullptr) rt.fail("no test named '", printable(name), "'");
  return test->holds(rt, input, arguments);
}

bool is_test_name(std::string_view name) {
  return find_test(name) != nullptr;
}

}  // namespace carat::jinja
