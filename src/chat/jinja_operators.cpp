#include "chat/jinja_operators.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "chat/jinja_format.h"
#include "chat/jinja_methods.h"
#include "chat/python_text.h"

namespace carat::jinja {
namespace {

std::string_view symbol(ArithmeticOp op) {
  switch (op) {
    case ArithmeticOp::kAdd:
      return "+";
    case ArithmeticOp::kSubtract:
      return "-";
    case ArithmeticOp::kMultiply:
      return "*";
    case ArithmeticOp::kDivide:
      return "/";
    case ArithmeticOp::kFloorDivide:
      return "//";
    case ArithmeticOp::kModulo:
      return "%";
    case ArithmeticOp::kPower:
      return "** or pow()";
  }
  return "";
}

bool equal_elements(Runtime& rt, const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](const Value& x, const Value& y) { return equal(rt, x, y); });
}

bool equal_dicts(Runtime& rt, const DictData& a, const DictData& b) {
  if (a.entries().size() != b.entries().size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&](const DictData::Entry& entry) {
    const Value* other = b.find(entry.first);
    return other != nullptr && equal(rt, entry.second, *other);
  });
}

// Views of keys and of items are equal as sets, as Python has it; views of values never are.
bool equal_views(Runtime& rt, const DictView& a, const DictView& b) {
  if (a.part != b.part || a.part == DictPart::kValues) return false;
  if (a.part == DictPart::kItems) return equal_dicts(rt, *a.dict, *b.dict);
  return a.dict->entries().size() == b.dict->entries().size() &&
         std::all_of(a.dict->entries().begin(), a.dict->entries().end(),
                     [&](const DictData::Entry& entry) { return b.dict->find(entry.first) != nullptr; });
}

bool equal_ranges(const Range& a, const Range& b) {
  return a.length == b.length && (a.length == 0 || (a.start == b.start && (a.length == 1 || a.step == b.step)));
}

// a < b, or a <= b where or_equal.
bool ordered(Runtime& rt, const Value& a, const Value& b, bool or_equal, std::string_view op) {
  rt.spend(1);
  if (a.is<Undefined>()) fail_undefined(rt, a);
  if (b.is<Undefined>()) fail_undefined(rt, b);
  if (a.is_number() && b.is_number()) {
    const auto is_nan = [](const Value& x) { return x.is<double>() && std::isnan(*x.get_if<double>()); };
    if (is_nan(a) || is_nan(b)) return false;
    const int order = compare_numbers(a, b);
    return order < 0 || (or_equal && order == 0);
  }
  if (a.is<String>() && b.is<String>()) {
    // UTF-8 sorts as its code points do.
    const int order = a.text_if()->view().compare(b.text_if()->view());
    return order < 0 || (or_equal && order == 0);
  }
  if ((a.is<List>() && b.is<List>()) || (a.is<Tuple>() && b.is<Tuple>())) {
    const std::vector<Value>& x = *a.elements_if();
    const std::vector<Value>& y = *b.elements_if();
    for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(rt, x[i], y[i])) return ordered(rt, x[i], y[i], or_equal, op);
    }
    return x.size() < y.size() || (or_equal && x.size() == y.size());
  }
  rt.fail("'", op, "' not supported between instances of '", type_name(a), "' and '", type_name(b), "'");
}

bool contains(Runtime& rt, const Value& container, const Value& item) {
  if (const MarkedText* text = container.text_if()) {
    const MarkedText* part = item.text_if();
    if (part == nullptr) rt.fail("'in <string>' requires string as left operand, not ", type_name(item));
    rt.spend_text(text->size());
    return text->view().find(part->view()) != std::string_view::npos;
  }
  const auto* view = container.get_if<DictView>();
  const auto* dict = container.get_if<Dict>();
  if (dict != nullptr || (view != nullptr && view->part == DictPart::kKeys)) {
    if (!is_hashable(item)) rt.fail("unhashable type: '", type_name(item), "'");
    return (dict != nullptr ? *dict : view->dict)->find(item) != nullptr;
  }
  const auto items = try_iterate(rt, container);
  if (items == nullptr) rt.fail("argument of type '", type_name(container), "' is not iterable");
  return std::any_of(items->values.begin(), items->values.end(), [&](const Value& x) { return equal(rt, x, item); });
}

Value repeat(Runtime& rt, const Value& sequence, std::int64_t count) {
  const std::size_t times = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (const MarkedText* text = sequence.text_if()) {
    if (!text->empty() && times > rt.limits().output_bytes / text->size()) {
      rt.fail("a text of ", text->size(), " bytes repeated ", times, " times is too long");
    }
    rt.check_text_size(text->size() * times);
    MarkedText result;
    for (std::size_t i = 0; i < times && !text->empty(); ++i) result.append(*text);
    return Value::text(std::move(result));
  }
  const std::vector<Value>& elements = *sequence.elements_if();
  std::vector<Value> result;
  if (!elements.empty()) {
    for (std::size_t i = 0; i < times; ++i) {
      rt.spend(elements.size());
      result.insert(result.end(), elements.begin(), elements.end());
    }
  }
  return sequence.is<List>() ? make_list(rt, std::move(result)) : make_tuple(rt, std::move(result));
}

Value concatenate(Runtime& rt, const Value& a, const Value& b) {
  if (const MarkedText* text = a.text_if()) {
    rt.check_text_size(text->size() + b.text_if()->size());
    MarkedText result = *text;
    result.append(*b.text_if());
    return Value::text(std::move(result));
  }
  rt.spend(a.elements_if()->size() + b.elements_if()->size());
  std::vector<Value> result = *a.elements_if();
  result.insert(result.end(), b.elements_if()->begin(), b.elements_if()->end());
  return a.is<List>() ? make_list(rt, std::move(result)) : make_tuple(rt, std::move(result));
}

double float_modulo(double a, double b) {
  double result = std::fmod(a, b);
  if (result != 0.0) {
    if ((b < 0) != (result < 0)) result += b;
  } else {
    result = std::copysign(0.0, b);
  }
  return result;
}

// As CPython's float_floor_div: exact where the quotient is close to an integer.
double float_floor_divide(double a, double b) {
  double modulo = std::fmod(a, b);
  double quotient = (a - modulo) / b;
  if (modulo != 0.0 && (b < 0) != (modulo < 0)) quotient -= 1.0;
  if (quotient == 0.0) return std::copysign(0.0, a / b);
  double floor = std::floor(quotient);
  if (quotient - floor > 0.5) floor += 1.0;
  return floor;
}

[[noreturn]] void fail_too_large(Runtime& rt) {
  rt.fail("an integer grows beyond 64 bits");
}

std::int64_t integer_power(Runtime& rt, std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (true) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) fail_too_large(rt);
    exponent >>= 1;
    if (exponent == 0) return result;
    if (__builtin_mul_overflow(base, base, &base)) fail_too_large(rt);
  }
}

Value integer_arithmetic(Runtime& rt, ArithmeticOp op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case ArithmeticOp::kAdd:
      if (__builtin_add_overflow(a, b, &result)) fail_too_large(rt);
      return Value(result);
    case ArithmeticOp::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) fail_too_large(rt);
      return Value(result);
    case ArithmeticOp::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) fail_too_large(rt);
      return Value(result);
    case ArithmeticOp::kDivide:
      if (b == 0) rt.fail("division by zero");
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case ArithmeticOp::kFloorDivide:
    case ArithmeticOp::kModulo: {
      if (b == 0) rt.fail("integer division or modulo by zero");
      if (b == -1) return op == ArithmeticOp::kModulo ? Value(std::int64_t{0}) : negated(rt, Value(a));
      const bool rounds_down = a % b != 0 && (a < 0) != (b < 0);  // C++ rounds to zero, Python down
      if (op == ArithmeticOp::kModulo) return Value(a % b + (rounds_down ? b : 0));
      return Value(a / b - (rounds_down ? 1 : 0));
    }
    case ArithmeticOp::kPower:
      if (b >= 0) return Value(integer_power(rt, a, b));
      if (a == 0) rt.fail("0.0 cannot be raised to a negative power");
      return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  return {};
}

Value float_arithmetic(Runtime& rt, ArithmeticOp op, double a, double b) {
  switch (op) {
    case ArithmeticOp::kAdd:
      return Value(a + b);
    case ArithmeticOp::kSubtract:
      return Value(a - b);
    case ArithmeticOp::kMultiply:
      return Value(a * b);
    case ArithmeticOp::kDivide:
      if (b == 0.0) rt.fail("float division by zero");
      return Value(a / b);
    case ArithmeticOp::kFloorDivide:
      if (b == 0.0) rt.fail("float floor division by zero");
      return Value(float_floor_divide(a, b));
    case ArithmeticOp::kModulo:
      if (b == 0.0) rt.fail("float modulo");
      return Value(float_modulo(a, b));
    case ArithmeticOp::kPower: {
      if (a == 0.0 && b < 0.0) rt.fail("0.0 cannot be raised to a negative power");
      if (a < 0.0 && std::floor(b) != b) rt.fail("a root of a negative number is not real");
      const double result = std::pow(a, b);
      if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) rt.fail("a power is too large for a float");
      return Value(result);
    }
  }
  return {};
}

// Python's slice.indices for a sequence of `length` elements: where to begin and how many elements to take.
struct SliceIndices {
  std::int64_t start;
  std::int64_t stop;
  std::int64_t step;
  std::size_t count;
};

SliceIndices slice_indices(Runtime& rt, std::int64_t length, const Value& start, const Value& stop, const Value& step) {
  const auto bound = [&rt](const Value& value, std::int64_t absent) {
    if (value.is<None>()) return absent;
    const auto number = integer_of(value);
    if (!number) rt.fail("slice indices must be integers or None or have an __index__ method");
    return *number;
  };
  const std::int64_t by = bound(step, 1);
  if (by == 0) rt.fail("slice step cannot be zero");
  const std::int64_t lowest = by > 0 ? 0 : -1;
  const std::int64_t highest = by > 0 ? length : length - 1;
  const auto clamped = [&](const Value& value, std::int64_t absent) {
    if (value.is<None>()) return absent;
    const std::int64_t index = bound(value, 0);
    return std::clamp(index < 0 ? index + length : index, lowest, highest);
  };
  const std::int64_t from = clamped(start, by > 0 ? lowest : highest);
  const std::int64_t to = clamped(stop, by > 0 ? highest : lowest);
  std::size_t count = 0;
  // Unsigned, as the negative of the least integer is not one.
  const std::uint64_t stride = by > 0 ? static_cast<std::uint64_t>(by) : 0 - static_cast<std::uint64_t>(by);
  if (by > 0 && from < to) count = (static_cast<std::uint64_t>(to - from) - 1) / stride + 1;
  if (by < 0 && to < from) count = (static_cast<std::uint64_t>(from - to) - 1) / stride + 1;
  return {from, to, by, count};
}

Value slice_text(Runtime& rt, const MarkedText& text, const Value& start, const Value& stop, const Value& step) {
  rt.spend_text(text.size());
  const auto length = static_cast<std::int64_t>(count_code_points(text.view()));
  const SliceIndices slice = slice_indices(rt, length, start, stop, step);
  if (slice.count == 0) return Value::text({});
  if (slice.step == 1) {
    const std::size_t begin = code_point_offset(text.view(), static_cast<std::size_t>(slice.start));
    return Value::text(text.part(begin, begin + code_point_offset(text.view().substr(begin), slice.count)));
  }
  rt.spend(text.size());
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < text.size(); i += first_code_point(text.view().substr(i)).length) offsets.push_back(i);
  offsets.push_back(text.size());
  MarkedText result;
  for (std::size_t i = 0; i < slice.count; ++i) {
    const auto at = static_cast<std::size_t>(slice.start + static_cast<std::int64_t>(i) * slice.step);
    result.append(text, offsets[at], offsets[at + 1]);
  }
  return Value::text(std::move(result));
}

// sequence[index] for an integer index; nothing when it is out of bounds or the value is no sequence.
std::optional<Value> element_at(Runtime& rt, const Value& sequence, std::int64_t index) {
  std::int64_t length = 0;
  const MarkedText* text = sequence.text_if();
  const std::vector<Value>* elements = sequence.elements_if();
  const Range* range = sequence.get_if<Range>();
  if (text != nullptr) {
    rt.spend_text(text->size());
    length = static_cast<std::int64_t>(count_code_points(text->view()));
  } else if (elements != nullptr) {
    length = static_cast<std::int64_t>(elements->size());
  } else if (range != nullptr) {
    length = range->length;
  }
  if (index < 0) index += length;
  if (index < 0 || index >= length) return std::nullopt;
  if (range != nullptr) return Value((*range)[index]);
  if (elements != nullptr) return (*elements)[static_cast<std::size_t>(index)];
  const std::size_t begin = code_point_offset(text->view(), static_cast<std::size_t>(index));
  return Value::text(text->part(begin, begin + first_code_point(text->view().substr(begin)).length));
}

// Python's object[index] without Jinja's fall-back.
std::optional<Value> python_item(Runtime& rt, const Value& object, const Value& index) {
  if (const auto* dict = object.get_if<Dict>()) {
    const Value* found = (*dict)->find(index);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  const auto number = integer_of(index);
  return number ? element_at(rt, object, *number) : std::nullopt;
}

Value undefined_member(Runtime& rt, const Value& object, const Value& name) {
  const std::string owner = object.is<None>() ? "None" : str(type_name(object), " object");
  if (const MarkedText* text = name.text_if()) {
    return Value::undefined(str("'", owner, "' has no attribute '", text->view(), "'"));
  }
  return Value::undefined(str(owner, " has no element ", repr(rt, name).view()));
}

}  // namespace

void fail_undefined(Runtime& rt, const Value& undefined) {
  const auto& why = undefined.get_if<Undefined>()->why;
  rt.fail(why == nullptr ? std::string("a variable is undefined") : *why);
}

bool truth(const Value& value) {
  if (value.is<Undefined>() || value.is<None>()) return false;
  if (const bool* boolean = value.get_if<bool>()) return *boolean;
  if (const auto* integer = value.get_if<std::int64_t>()) return *integer != 0;
  if (const double* number = value.get_if<double>()) return *number != 0.0;
  return length_of(value).value_or(1) != 0;
}

bool equal(Runtime& rt, const Value& a, const Value& b) {
  rt.spend(1);
  if (a.is_number() && b.is_number()) {
    const double* x = a.get_if<double>();
    return compare_numbers(a, b) == 0 && !(x != nullptr && std::isnan(*x));
  }
  if (a.text_if() != nullptr && b.text_if() != nullptr) {
    rt.spend_text(std::min(a.text_if()->size(), b.text_if()->size()));
    return a.text_if()->view() == b.text_if()->view();
  }
  if ((a.is<List>() && b.is<List>()) || (a.is<Tuple>() && b.is<Tuple>())) {
    return equal_elements(rt, *a.elements_if(), *b.elements_if());
  }
  if (a.is<Dict>() && b.is<Dict>()) return equal_dicts(rt, **a.get_if<Dict>(), **b.get_if<Dict>());
  if (a.is<Range>() && b.is<Range>()) return equal_ranges(*a.get_if<Range>(), *b.get_if<Range>());
  if (a.is<DictView>() && b.is<DictView>()) return equal_views(rt, *a.get_if<DictView>(), *b.get_if<DictView>());
  if (a.is<Iterator>() && b.is<Iterator>()) return *a.get_if<Iterator>() == *b.get_if<Iterator>();
  if (a.is<Function>() && b.is<Function>()) return *a.get_if<Function>() == *b.get_if<Function>();
  if (a.is<Namespace*>() && b.is<Namespace*>()) return *a.get_if<Namespace*>() == *b.get_if<Namespace*>();
  if (a.is<Loop*>() && b.is<Loop*>()) return *a.get_if<Loop*>() == *b.get_if<Loop*>();
  return (a.is<None>() && b.is<None>()) || (a.is<Undefined>() && b.is<Undefined>());
}

bool less(Runtime& rt, const Value& a, const Value& b) {
  return ordered(rt, a, b, false, "<");
}

bool compare(Runtime& rt, CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEqual:
      return equal(rt, a, b);
    case CompareOp::kNotEqual:
      return !equal(rt, a, b);
    case CompareOp::kLess:
      return ordered(rt, a, b, false, "<");
    case CompareOp::kLessEqual:
      return ordered(rt, a, b, true, "<=");
    case CompareOp::kGreater:
      return ordered(rt, b, a, false, ">");
    case CompareOp::kGreaterEqual:
      return ordered(rt, b, a, true, ">=");
    case CompareOp::kIn:
      return contains(rt, b, a);
    case CompareOp::kNotIn:
      return !contains(rt, b, a);
  }
  return false;
}

Value arithmetic(Runtime& rt, ArithmeticOp op, const Value& a, const Value& b) {
  // "%" of a string formats, even an undefined value; otherwise an undefined operand fails whatever the other one is.
  if (op == ArithmeticOp::kModulo && a.is<String>()) return Value::text(percent_format(rt, *a.text_if(), b));
  if (a.is<Undefined>()) fail_undefined(rt, a);
  if (b.is<Undefined>()) fail_undefined(rt, b);
  if (a.is_number() && b.is_number()) {
    const auto x = integer_of(a);
    const auto y = integer_of(b);
    if (x && y) return integer_arithmetic(rt, op, *x, *y);
    return float_arithmetic(rt, op, *float_of(a), *float_of(b));
  }
  const auto is_sequence = [](const Value& v) { return v.is<String>() || v.is<List>() || v.is<Tuple>(); };
  if (op == ArithmeticOp::kMultiply) {
    if (is_sequence(a) && integer_of(b)) return repeat(rt, a, *integer_of(b));
    if (is_sequence(b) && integer_of(a)) return repeat(rt, b, *integer_of(a));
  }
  if (op == ArithmeticOp::kAdd && is_sequence(a)) {
    if (type_name(a) == type_name(b)) return concatenate(rt, a, b);
    rt.fail("can only concatenate ", type_name(a), " (not \"", type_name(b), "\") to ", type_name(a));
  }
  rt.fail("unsupported operand type(s) for ", symbol(op), ": '", type_name(a), "' and '", type_name(b), "'");
}

Value negated(Runtime& rt, const Value& value) {
  if (const double* number = value.get_if<double>()) return Value(-*number);
  if (value.is<Undefined>()) fail_undefined(rt, value);
  const auto integer = integer_of(value);
  if (!integer) rt.fail("bad operand type for unary -: '", type_name(value), "'");
  return integer_arithmetic(rt, ArithmeticOp::kSubtract, 0, *integer);
}

Value unary_plus(Runtime& rt, const Value& value) {
  if (value.is<double>()) return value;
  if (value.is<Undefined>()) fail_undefined(rt, value);
  const auto integer = integer_of(value);
  if (!integer) rt.fail("bad operand type for unary +: '", type_name(value), "'");
  return Value(*integer);
}

std::optional<std::size_t> length_of(const Value& value) {
  if (const MarkedText* text = value.text_if()) return count_code_points(text->view());
  if (const auto* elements = value.elements_if()) return elements->size();
  if (const auto* dict = value.get_if<Dict>()) return (*dict)->entries().size();
  if (const auto* view = value.get_if<DictView>()) return view->dict->entries().size();
  if (const auto* range = value.get_if<Range>()) return static_cast<std::size_t>(range->length);
  if (const auto* loop = value.get_if<Loop*>()) return (*loop)->items->values.size();
  return value.is<Undefined>() ? std::optional<std::size_t>(0) : std::nullopt;
}

std::shared_ptr<const Items> try_iterate(Runtime& rt, const Value& value) {
  if (const auto* list = value.get_if<List>()) return list->items;
  if (const auto* tuple = value.get_if<Tuple>()) return tuple->items;
  std::vector<Value> values;
  if (const MarkedText* text = value.text_if()) {
    rt.spend(text->size());
    for (std::size_t i = 0; i < text->size();) {
      const std::size_t n = first_code_point(text->view().substr(i)).length;
      values.push_back(Value::text(text->part(i, i + n)));
      i += n;
    }
  } else if (const auto* dict = value.get_if<Dict>()) {
    for (const auto& entry : (*dict)->entries()) values.push_back(entry.first);
  } else if (const auto* view = value.get_if<DictView>()) {
    for (const auto& [key, element] : view->dict->entries()) {
      values.push_back(view->part == DictPart::kKeys     ? key
                       : view->part == DictPart::kValues ? element
                                                         : make_tuple(rt, {key, element}));
    }
  } else if (const auto* range = value.get_if<Range>()) {
    rt.spend(static_cast<std::size_t>(range->length));
    for (std::int64_t i = 0; i < range->length; ++i) values.emplace_back((*range)[i]);
  } else if (const auto* iterator = value.get_if<Iterator>()) {
    IteratorState& state = **iterator;
    const auto rest = state.items->values.begin() + static_cast<std::ptrdiff_t>(state.next);
    values.assign(rest, state.items->values.end());
    state.next = state.items->values.size();
  } else if (!value.is<Undefined>()) {
    return nullptr;
  }
  return make_items(rt, std::move(values));
}

std::shared_ptr<const Items> iterate(Runtime& rt, const Value& value) {
  auto items = try_iterate(rt, value);
  if (items == nullptr) rt.fail("'", type_name(value), "' object is not iterable");
  return items;
}

Value get_attribute(Runtime& rt, const Value& object, const Value& name) {
  if (object.is<Undefined>()) fail_undefined(rt, object);
  if (auto found = python_attribute(rt, object, name.text_if()->view())) return *std::move(found);
  if (auto found = python_item(rt, object, name)) return *std::move(found);
  return undefined_member(rt, object, name);
}

Value get_item(Runtime& rt, const Value& object, const Value& index) {
  if (object.is<Undefined>()) fail_undefined(rt, object);
  if (auto found = python_item(rt, object, index)) return *std::move(found);
  if (const MarkedText* name = index.text_if()) {
    if (auto found = python_attribute(rt, object, name->view())) return *std::move(found);
  }
  return undefined_member(rt, object, index);
}

Value get_slice(Runtime& rt, const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is<Undefined>()) fail_undefined(rt, object);
  if (const MarkedText* text = object.text_if()) return slice_text(rt, *text, start, stop, step);
  if (const Range* range = object.get_if<Range>()) {
    const SliceIndices slice = slice_indices(rt, range->length, start, stop, step);
    Range result{0, 0, 0, static_cast<std::int64_t>(slice.count)};
    const auto element = [&](std::int64_t i, std::int64_t& value) {
      return !__builtin_mul_overflow(i, range->step, &value) && !__builtin_add_overflow(value, range->start, &value);
    };
    if (!element(slice.start, result.start) || !element(slice.stop, result.stop) ||
        __builtin_mul_overflow(range->step, slice.step, &result.step)) {
      fail_too_large(rt);
    }
    return Value(result);
  }
  const std::vector<Value>* elements = object.elements_if();
  if (elements == nullptr) rt.fail("'", type_name(object), "' object is not subscriptable by a slice");
  const SliceIndices slice = slice_indices(rt, static_cast<std::int64_t>(elements->size()), start, stop, step);
  rt.spend(slice.count);
  std::vector<Value> result;
  result.reserve(slice.count);
  for (std::size_t i = 0; i < slice.count; ++i) {
    result.push_back((*elements)[static_cast<std::size_t>(slice.start + static_cast<std::int64_t>(i) * slice.step)]);
  }
  return object.is<List>() ? make_list(rt, std::move(result)) : make_tuple(rt, std::move(result));
}

std::optional<std::int64_t> integer_of(const Value& value) {
  if (const bool* boolean = value.get_if<bool>()) return static_cast<std::int64_t>(*boolean);
  if (const auto* integer = value.get_if<std::int64_t>()) return *integer;
  return std::nullopt;
}

std::optional<double> float_of(const Value& value) {
  if (const double* number = value.get_if<double>()) return *number;
  const auto integer = integer_of(value);
  return integer ? std::optional<double>(static_cast<double>(*integer)) : std::nullopt;
}

}  // namespace carat::jinja
