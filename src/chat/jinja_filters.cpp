#include "chat/jinja_filters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "chat/jinja_arguments.h"
#include "chat/jinja_format.h"
#include "chat/jinja_methods.h"
#include "chat/jinja_operators.h"
#include "chat/jinja_sequence_filters.h"
#include "chat/python_text.h"

namespace carat::jinja {
namespace {

using FilterFunction = Value (*)(Runtime& rt, const Value& input, const Arguments& arguments);
struct FilterRow {
  std::string_view name;
  FilterFunction apply;
};

template <MarkedText (*kMap)(const MarkedText&)>
Value mapped(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "a text filter", arguments, {});
  const MarkedText text = to_text(rt, input);
  rt.spend(text.size() / 8);
  return make_text(rt, kMap(text));
}

// Upper case at the begin of each word, where words begin behind white space and -({[<.
MarkedText title_words(const MarkedText& text) {
  static constexpr std::string_view kBefore = "-({[<";
  MarkedText result;
  bool begins_word = true;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = first_code_point(text.view().substr(i));
    const MarkedText character = text.part(i, i + c.length);
    const bool is_border = is_python_space(c.value) || kBefore.find(text.view()[i]) != std::string_view::npos;
    result.append(begins_word && !is_border ? to_upper(character) : to_lower(character));
    begins_word = is_border;
    i += c.length;
  }
  return result;
}

Value trim(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "trim", arguments, {"chars"});
  const MarkedText text = to_text(rt, input);
  std::optional<std::string_view> chars;
  if (args.has_value(0)) {
    chars = args.text(0).view();
    rt.spend_text(text.size() * (1 + chars->size() / 16));
  }
  const TextRange range = strip_range(text.view(), Side::kBoth, chars);
  return Value::text(text.part(range.begin, range.end));
}

Value replace(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "replace", arguments, {"old", "new", "count"}, 2);
  const std::int64_t count = args.has_value(2) ? args.integer(2, -1) : -1;
  return Value::text(replaced(rt, to_text(rt, input), to_text(rt, args[0]), to_text(rt, args[1]), count));
}

Value format(Runtime& rt, const Value& input, const Arguments& arguments) {
  if (arguments.named.empty()) {
    return Value::text(percent_format(rt, to_text(rt, input), make_tuple(rt, arguments.positional)));
  }
  if (!arguments.positional.empty()) rt.fail("can't handle positional and keyword arguments at the same time");
  return Value::text(percent_format(rt, to_text(rt, input), make_dict(rt, arguments.named)));
}

Value indent(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "indent", arguments, {"width", "first", "blank"});
  MarkedText indention("    ", true);
  if (args.has(0)) {
    const std::int64_t width = args[0].is<String>() ? 0 : args.integer(0, 4);
    if (width > 1000) rt.fail("indent: a width of ", width, " is too large");
    indention = args[0].is<String>()
                    ? args.text(0)
                    : MarkedText(std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' '), true);
  }
  if (input.text_if() == nullptr) rt.fail("indent: the input must be str, not ", type_name(input));
  MarkedText text = *input.text_if();
  text.append("\n", true);  // so that a last line without an end counts, and one with an end leaves an empty line
  MarkedText result;
  bool is_first = true;
  for (const TextRange& line : line_ranges(text.view(), false)) {
    if (!is_first) result.append("\n", true);
    const bool is_empty = line.begin == line.end;
    if (is_first ? args.flag(1) : !is_empty || args.flag(2)) result.append(indention);
    result.append(text, line.begin, line.end);
    rt.check_text_size(result.size());
    is_first = false;
  }
  return Value::text(std::move(result));
}

Value truncate(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "truncate", arguments, {"length", "killwords", "end", "leeway"});
  const MarkedText end = args.has(2) ? args.text(2) : MarkedText("...", true);
  const std::int64_t length = args.integer(0, 255);
  const std::int64_t leeway = args.has_value(3) ? args.integer(3, 5) : 5;
  const auto end_length = static_cast<std::int64_t>(count_code_points(end.view()));
  if (length < end_length) rt.fail("expected length >= ", end_length, ", got ", length);
  if (leeway < 0) rt.fail("expected leeway >= 0, got ", leeway);
  // What is short enough may be anything that has a length.
  const auto size = length_of(input);
  if (!size) rt.fail("object of type '", type_name(input), "' has no len()");
  const auto excess = static_cast<std::int64_t>(*size) - length;
  if (excess <= 0 || excess <= leeway) return input;
  const MarkedText* text = input.text_if();
  if (text == nullptr) rt.fail("truncate: the input must be str, not ", type_name(input));
  rt.spend_text(text->size());
  MarkedText result = text->part(0, code_point_offset(text->view(), static_cast<std::size_t>(length - end_length)));
  const std::size_t space = result.view().rfind(' ');
  if (!args.flag(1) && space != std::string_view::npos) result = result.part(0, space);
  result.append(end);
  return Value::text(std::move(result));
}

Value escape(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "escape", arguments, {});
  static constexpr std::array<std::pair<char, std::string_view>, 5> kEntities{
      {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}}};
  const MarkedText text = to_text(rt, input);
  MarkedText result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto* found =
        std::find_if(kEntities.begin(), kEntities.end(), [&](const auto& row) { return row.first == text.view()[i]; });
    result.append(found == kEntities.end() ? text.view().substr(i, 1) : found->second, text.is_trusted_at(i));
  }
  return make_text(rt, std::move(result));
}

Value to_json_filter(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = args.flag(0);
  style.sort_keys = args.flag(3);
  if (args.has_value(1)) {
    constexpr std::int64_t kMaxIndent = 100;
    style.item_separator = ",";
    const std::int64_t width = args[1].is<String>() ? 0 : std::clamp<std::int64_t>(args.integer(1, 0), 0, kMaxIndent);
    style.indent = args[1].is<String>() ? args.text(1).bytes() : std::string(static_cast<std::size_t>(width), ' ');
  }
  if (args.has_value(2)) {
    const auto separators = iterate(rt, args[2]);
    if (separators->values.size() != 2 || !separators->values[0].is<String>() || !separators->values[1].is<String>()) {
      rt.fail("tojson: separators must be two strings");
    }
    style.item_separator = separators->values[0].text_if()->bytes();
    style.key_separator = separators->values[1].text_if()->bytes();
  }
  return Value::text(to_json(rt, input, style));
}

// Digits of a Python number literal without the underscores that may separate them; nothing when they are misplaced.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
      continue;
    }
    const auto is_alphanumeric = [&](std::size_t j) {
      return j < text.size() &&
             ((text[j] >= '0' && text[j] <= '9') || ((text[j] | 0x20) >= 'a' && (text[j] | 0x20) <= 'z'));
    };
    if (i == 0 || !is_alphanumeric(i - 1) || !is_alphanumeric(i + 1)) return std::nullopt;
  }
  return digits;
}

std::string_view stripped(const MarkedText& text) {
  const TextRange range = strip_range(text.view(), Side::kBoth);
  return text.view().substr(range.begin, range.end - range.begin);
}

// Python's int(text, base); nothing where it raises ValueError.
std::optional<std::int64_t> parse_integer(Runtime& rt, const MarkedText& text, std::int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) rt.fail("int() base must be >= 2 and <= 36, or 0");
  auto digits = without_underscores(stripped(text));
  if (!digits) return std::nullopt;
  std::string_view rest = *digits;
  const bool is_negative = rest.starts_with('-');
  if (is_negative || rest.starts_with('+')) rest.remove_prefix(1);
  const char prefix = rest.size() > 2 && rest[0] == '0' ? static_cast<char>(rest[1] | 0x20) : '\0';
  const int prefix_base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
  if (prefix_base != 0 && (base == 0 || base == prefix_base)) {
    rest.remove_prefix(2);
    base = prefix_base;
  } else if (base == 0) {
    if (rest.size() > 1 && rest[0] == '0' && rest.find_first_not_of('0') != std::string_view::npos) return std::nullopt;
    base = 10;
  }
  if (rest.starts_with('-')) return std::nullopt;
  std::int64_t value = 0;
  // The sign goes along, as the least integer has no positive counterpart.
  const std::string number = (is_negative ? "-" : "") + std::string(rest);
  const auto result = std::from_chars(number.data(), number.data() + number.size(), value, static_cast<int>(base));
  if (result.ec == std::errc::result_out_of_range)
    rt.fail("the integer ", printable(rest), " does not fit into 64 bits");
  if (result.ec != std::errc() || result.ptr != number.data() + number.size()) return std::nullopt;
  return value;
}

// Python's float(text); nothing where it raises ValueError.
std::optional<double> parse_float(const MarkedText& text) {
  const auto digits = without_underscores(stripped(text));
  if (!digits) return std::nullopt;
  std::string_view rest = *digits;
  const bool is_negative = rest.starts_with('-');
  if (is_negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '-' || rest.find('(') != std::string_view::npos) return std::nullopt;  // no nan(...)
  double value = 0;
  const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (result.ptr != rest.data() + rest.size() || result.ec == std::errc::invalid_argument) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) {
    // Too large or too small: the exponent's sign tells, and without one the number is large.
    value = rest.find("e-") != std::string_view::npos || rest.find("E-") != std::string_view::npos ? 0.0 : HUGE_VAL;
  }
  return is_negative ? -value : value;
}

std::optional<Value> truncated(Runtime& rt, double number) {
  if (std::isnan(number) || std::isinf(number)) return std::nullopt;
  if (!(std::fabs(number) < 9.2e18)) rt.fail("the number ", float_repr(number), " does not fit into 64 bits");
  return Value(static_cast<std::int64_t>(number));
}

Value to_integer(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "int", arguments, {"default", "base"});
  Value fallback = args.value_or(0, Value(std::int64_t{0}));
  if (input.is<Undefined>()) fail_undefined(rt, input);
  if (const auto integer = integer_of(input)) return Value(*integer);
  if (const double* number = input.get_if<double>()) {
    if (std::isinf(*number)) rt.fail("cannot convert float infinity to integer");
    return truncated(rt, *number).value_or(fallback);
  }
  const MarkedText* text = input.text_if();
  if (text == nullptr) return fallback;
  if (const auto integer = parse_integer(rt, *text, args.integer(1, 10))) return Value(*integer);
  const auto number = parse_float(*text);
  return number ? truncated(rt, *number).value_or(fallback) : fallback;
}

Value to_float(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "float", arguments, {"default"});
  if (input.is<Undefined>()) fail_undefined(rt, input);
  if (const auto number = float_of(input)) return Value(*number);
  const auto number = input.is<String>() ? parse_float(*input.text_if()) : std::nullopt;
  return number ? Value(*number) : args.value_or(0, Value(0.0));
}

Value absolute(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "abs", arguments, {});
  if (const double* number = input.get_if<double>()) return Value(std::fabs(*number));
  if (input.is<Undefined>()) fail_undefined(rt, input);
  const auto integer = integer_of(input);
  if (!integer) rt.fail("bad operand type for abs(): '", type_name(input), "'");
  return *integer < 0 ? negated(rt, input) : Value(*integer);
}

// Python's round(): to the nearest decimal, of exact ties the even one. The exact decimal expansion decides.
double rounded(Runtime& rt, double number, std::int64_t precision) {
  if (std::isnan(number) || std::isinf(number) || precision > 330) return number;
  if (precision < -330) return std::copysign(0.0, number);
  if (precision < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-precision));
    return std::nearbyint(number / scale) * scale;
  }
  rt.spend(10);
  std::array<char, 800> digits{};
  const auto* end = std::to_chars(digits.data(), digits.data() + digits.size(), number, std::chars_format::fixed,
                                  static_cast<int>(precision))
                        .ptr;
  double result = number;
  std::from_chars(digits.data(), end, result);
  return result;
}

Value round(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "round", arguments, {"precision", "method"});
  const std::string method = args.has(1) ? args.text(1).bytes() : "common";
  const std::int64_t precision = args.integer(0, 0);
  if (input.is<Undefined>()) fail_undefined(rt, input);
  const auto number = float_of(input);
  if (!number) rt.fail("type ", type_name(input), " doesn't define __round__ method");
  if (method == "common") {
    const auto integer = integer_of(input);
    if (!integer) return Value(rounded(rt, *number, precision));
    if (precision < 0) rt.fail("round of an integer to a negative precision is not supported");
    return Value(*integer);
  }
  if (method != "ceil" && method != "floor") rt.fail("method must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (!std::isfinite(*number * scale)) rt.fail("round: the number is too large");
  return Value((method == "ceil" ? std::ceil(*number * scale) : std::floor(*number * scale)) / scale);
}

Value length(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "length", arguments, {});
  if (input.is<String>()) rt.spend_text(input.text_if()->size());
  const auto size = length_of(input);
  if (!size) rt.fail("object of type '", type_name(input), "' has no len()");
  return Value(static_cast<std::int64_t>(*size));
}

Value default_value(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "default", arguments, {"default_value", "boolean"});
  const bool is_replaced = input.is<Undefined>() || (args.flag(1) && !truth(input));
  return is_replaced ? args.value_or(0, Value::text({})) : input;
}

Value string(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "string", arguments, {});
  return input.is<String>() ? input : make_text(rt, to_text(rt, input));
}

Value attribute(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "attr", arguments, {"name"}, 1);
  if (input.is<Undefined>()) fail_undefined(rt, input);
  if (auto found = python_attribute(rt, input, args.text(0).view())) return *std::move(found);
  return Value::undefined(str("'", type_name(input), " object' has no attribute '", args.text(0).view(), "'"));
}

Value center(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "center", arguments, {"width"});
  const Callable method{Callable::Kind::kMethod, "center", make_text(rt, to_text(rt, input))};
  return call_method(rt, method, {{args.value_or(0, Value(std::int64_t{80}))}, {}});
}

constexpr FilterRow kFilters[] = {
    {"abs", absolute},
    {"attr", attribute},
    {"batch", filter_batch},
    {"capitalize", mapped<to_capitalized>},
    {"center", center},
    {"count", length},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", filter_dictsort},
    {"e", escape},
    {"escape", escape},
    {"first", filter_first},
    {"float", to_float},
    {"format", format},
    {"groupby", filter_groupby},
    {"indent", indent},
    {"int", to_integer},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", length},
    {"list", filter_list},
    {"lower", mapped<to_lower>},
    {"map", filter_map},
    {"max", filter_max},
    {"min", filter_min},
    {"reject", filter_reject},
    {"rejectattr", filter_rejectattr},
    {"replace", replace},
    {"reverse", filter_reverse},
    {"round", round},
    {"safe", string},  // nothing is escaped automatically, so a safe text is any text
    {"select", filter_select},
    {"selectattr", filter_selectattr},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"string", string},
    {"sum", filter_sum},
    {"title", mapped<title_words>},
    {"tojson", to_json_filter},
    {"trim", trim},
    {"truncate", truncate},
    {"unique", filter_unique},
    {"upper", mapped<to_upper>},
};

const FilterRow* find_filter(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kFilters), std::end(kFilters), [name](const auto& row) { return row.name == name; });
  return found == std::end(kFilters) ? nullptr : found;
}

}  // namespace

Value apply_filter(Runtime& rt, std::string_view name, const Value& input, const Arguments& arguments) {
  rt.spend(1);
  const FilterRow* filter = find_filter(name);
  if (filter == nullptr) rt.fail("no filter named '", printable(name), "'");
  return filter->apply(rt, input, arguments);
}

bool is_filter_name(std::string_view name) {
  return find_filter(name) != nullptr;
}

}  // namespace carat::jinja
