#include "chat/jinja_methods.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "chat/jinja_arguments.h"
#include "chat/jinja_format.h"
#include "chat/jinja_operators.h"
#include "chat/python_text.h"

namespace carat::jinja {
namespace {

using Method = Value (*)(Runtime& rt, const Value& self, const Arguments& arguments);
struct MethodRow {
  std::string_view name;
  Method call;  // null: the attribute exists, but carat does not carry it out
};

const MarkedText& text_of(const Value& self) {
  return *self.text_if();
}

Value part_of(const MarkedText& text, TextRange range) {
  return Value::text(text.part(range.begin, range.end));
}

Value parts_of(Runtime& rt, const MarkedText& text, const std::vector<TextRange>& ranges) {
  std::vector<Value> parts;
  rt.spend_text(text.size());
  rt.spend(ranges.size());
  parts.reserve(ranges.size());
  for (const TextRange& range : ranges) parts.push_back(part_of(text, range));
  return make_list(rt, std::move(parts));
}

Value strip(Runtime& rt, const Value& self, const Arguments& arguments, Side side) {
  const Bound args(rt, "strip", arguments, {"chars"});
  const MarkedText& text = text_of(self);
  std::optional<std::string_view> chars;
  if (args.has_value(0)) chars = args.text(0).view();
  rt.spend_text(text.size() * (1 + (chars ? chars->size() / 16 : 0)));
  return part_of(text, strip_range(text.view(), side, chars));
}

Value split(Runtime& rt, const Value& self, const Arguments& arguments, bool from_right) {
  const Bound args(rt, "split", arguments, {"sep", "maxsplit"});
  const std::int64_t limit = args.integer(1, -1);
  std::optional<std::string_view> separator;
  if (args.has_value(0)) {
    separator = args.text(0).view();
    if (separator->empty()) rt.fail("empty separator");
  }
  const std::size_t max_splits = limit < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(limit);
  const MarkedText& text = text_of(self);
  return parts_of(rt, text, split_ranges(text.view(), separator, max_splits, from_right));
}

// Python's text[start:end] as bytes, for methods that take such bounds behind their first argument.
TextRange searched_range(Runtime& rt, const MarkedText& text, const Bound& args) {
  rt.spend_text(text.size());
  if (!args.has_value(1) && !args.has_value(2)) return {0, text.size()};
  const auto length = static_cast<std::int64_t>(count_code_points(text.view()));
  const auto bound = [&](std::size_t i, std::int64_t absent) {
    std::int64_t index = args.has_value(i) ? args.integer(i, 0) : absent;
    if (index < 0) index = std::max<std::int64_t>(index + length, 0);
    return index;
  };
  const std::int64_t begin = bound(1, 0);
  const std::int64_t end = std::min(bound(2, length), length);
  if (begin > end) return {text.size() + 1, text.size()};  // nothing is found there, not even an empty text
  return {code_point_offset(text.view(), static_cast<std::size_t>(begin)),
          code_point_offset(text.view(), static_cast<std::size_t>(end))};
}

// Index in code points of a part, -1 when it does not occur.
std::int64_t find_part(Runtime& rt, const Value& self, const Arguments& arguments, bool from_right) {
  const Bound args(rt, "find", arguments, {"sub", "start", "end"}, 1);
  const MarkedText& text = text_of(self);
  const TextRange range = searched_range(rt, text, args);
  if (range.begin > range.end) return -1;
  const std::string_view searched = text.view().substr(range.begin, range.end - range.begin);
  const std::string_view part = args.text(0).view();
  const std::size_t found = from_right ? searched.rfind(part) : searched.find(part);
  if (found == std::string_view::npos) return -1;
  return static_cast<std::int64_t>(count_code_points(text.view().substr(0, range.begin + found)));
}

Value index_of_part(Runtime& rt, const Value& self, const Arguments& arguments, bool from_right) {
  const std::int64_t index = find_part(rt, self, arguments, from_right);
  if (index < 0) rt.fail("substring not found");
  return Value(index);
}

Value has_affix(Runtime& rt, const Value& self, const Arguments& arguments, bool is_prefix) {
  const Bound args(rt, is_prefix ? "startswith" : "endswith", arguments, {"affix", "start", "end"}, 1);
  const MarkedText& text = text_of(self);
  const TextRange range = searched_range(rt, text, args);
  const auto matches = [&](const Value& affix) {
    const MarkedText* wanted = affix.text_if();
    if (wanted == nullptr) {
      rt.fail(is_prefix ? "startswith" : "endswith", " first arg must be str or a tuple of str, not ",
              type_name(affix));
    }
    if (range.begin > range.end) return false;
    const std::string_view searched = text.view().substr(range.begin, range.end - range.begin);
    return is_prefix ? searched.starts_with(wanted->view()) : searched.ends_with(wanted->view());
  };
  if (!args[0].is<Tuple>()) return Value(matches(args[0]));
  const std::vector<Value>& affixes = *args[0].elements_if();
  rt.spend(affixes.size());
  return Value(std::any_of(affixes.begin(), affixes.end(), matches));
}

Value remove_affix(Runtime& rt, const Value& self, const Arguments& arguments, bool is_prefix) {
  const Bound args(rt, is_prefix ? "removeprefix" : "removesuffix", arguments, {"affix"}, 1);
  const MarkedText& text = text_of(self);
  const std::string_view affix = args.text(0).view();
  rt.spend_text(text.size());
  if (is_prefix && text.view().starts_with(affix)) return part_of(text, {affix.size(), text.size()});
  if (!is_prefix && text.view().ends_with(affix)) return part_of(text, {0, text.size() - affix.size()});
  return self;
}

Value count_parts(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "count", arguments, {"sub", "start", "end"}, 1);
  const MarkedText& text = text_of(self);
  const TextRange range = searched_range(rt, text, args);
  if (range.begin > range.end) return Value(std::int64_t{0});
  const std::string_view searched = text.view().substr(range.begin, range.end - range.begin);
  const std::string_view part = args.text(0).view();
  if (part.empty()) return Value(static_cast<std::int64_t>(count_code_points(searched)) + 1);
  std::int64_t count = 0;
  for (std::size_t at = searched.find(part); at != std::string_view::npos; at = searched.find(part, at + part.size())) {
    ++count;
  }
  return Value(count);
}

Value partition(Runtime& rt, const Value& self, const Arguments& arguments, bool from_right) {
  const Bound args(rt, "partition", arguments, {"sep"}, 1);
  const MarkedText& text = text_of(self);
  const MarkedText& separator = args.text(0);
  if (separator.empty()) rt.fail("empty separator");
  rt.spend_text(text.size());
  const std::size_t at = from_right ? text.view().rfind(separator.view()) : text.view().find(separator.view());
  const Value empty = Value::text({});
  if (at == std::string_view::npos) {
    return from_right ? make_tuple(rt, {empty, empty, self}) : make_tuple(rt, {self, empty, empty});
  }
  return make_tuple(
      rt, {part_of(text, {0, at}), Value::text(separator), part_of(text, {at + separator.size(), text.size()})});
}

Value join(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "join", arguments, {"iterable"}, 1);
  MarkedText result;
  bool is_first = true;
  const auto items = iterate(rt, args[0]);
  for (const Value& item : items->values) {
    const MarkedText* text = item.text_if();
    if (text == nullptr) rt.fail("sequence item: expected str instance, ", type_name(item), " found");
    if (!std::exchange(is_first, false)) result.append(text_of(self));
    rt.check_text_size(result.size() + text->size());
    rt.spend_text(text->size());
    result.append(*text);
  }
  return Value::text(std::move(result));
}

// Fills a text up to a width; left and right padding in code points.
Value padded(Runtime& rt, const MarkedText& text, std::size_t left, std::size_t right, const MarkedText& fill) {
  rt.check_text_size(text.size() + (left + right) * fill.size());
  MarkedText result;
  for (std::size_t i = 0; i < left; ++i) result.append(fill);
  result.append(text);
  for (std::size_t i = 0; i < right; ++i) result.append(fill);
  return Value::text(std::move(result));
}

enum class Align { kLeft, kRight, kCenter };

Value justify(Runtime& rt, const Value& self, const Arguments& arguments, Align align) {
  const Bound args(rt, "justify", arguments, {"width", "fillchar"}, 1);
  const MarkedText fill = args.has(1) ? args.text(1) : MarkedText(" ", true);
  if (count_code_points(fill.view()) != 1) rt.fail("The fill character must be exactly one character long");
  const MarkedText& text = text_of(self);
  const auto length = static_cast<std::int64_t>(count_code_points(text.view()));
  const std::int64_t width = args.integer(0, 0);
  if (width <= length) return self;
  if (width > static_cast<std::int64_t>(rt.limits().output_bytes)) rt.fail("a width of ", width, " is too large");
  const auto padding = static_cast<std::size_t>(width - length);
  // The odd one goes left when padding and width are both odd, as in CPython.
  const std::size_t left = padding / 2 + (padding & static_cast<std::size_t>(width) & 1);
  switch (align) {
    case Align::kLeft:
      return padded(rt, text, 0, padding, fill);
    case Align::kRight:
      return padded(rt, text, padding, 0, fill);
    case Align::kCenter:
      return padded(rt, text, left, padding - left, fill);
  }
  return self;
}

Value zfill(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "zfill", arguments, {"width"}, 1);
  const MarkedText& text = text_of(self);
  const auto length = static_cast<std::int64_t>(count_code_points(text.view()));
  const std::int64_t width = args.integer(0, 0);
  if (width <= length) return self;
  if (width > static_cast<std::int64_t>(rt.limits().output_bytes)) rt.fail("a width of ", width, " is too large");
  const std::size_t sign = text.view().starts_with('+') || text.view().starts_with('-') ? 1 : 0;
  MarkedText result = text.part(0, sign);
  rt.check_text_size(static_cast<std::size_t>(width));
  result.append(std::string(static_cast<std::size_t>(width - length), '0'), true);
  result.append(text, sign, text.size());
  return Value::text(std::move(result));
}

template <MarkedText (*kMap)(const MarkedText&)>
Value mapped(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "a method of str", arguments, {});
  rt.spend(1 + text_of(self).size() / 8);
  return make_text(rt, kMap(text_of(self)));
}

template <bool (*kTest)(std::string_view)>
Value tested(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "a method of str", arguments, {});
  rt.spend(1 + text_of(self).size() / 8);
  return Value(kTest(text_of(self).view()));
}

bool all_spaces(std::string_view text) {
  return !text.empty() && strip_range(text, Side::kLeft).begin == text.size();
}

// Digits of other scripts are not known here: they count as none.
bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

constexpr MethodRow kStringMethods[] = {
    {"strip", [](Runtime& rt, const Value& s, const Arguments& a) { return strip(rt, s, a, Side::kBoth); }},
    {"lstrip", [](Runtime& rt, const Value& s, const Arguments& a) { return strip(rt, s, a, Side::kLeft); }},
    {"rstrip", [](Runtime& rt, const Value& s, const Arguments& a) { return strip(rt, s, a, Side::kRight); }},
    {"split", [](Runtime& rt, const Value& s, const Arguments& a) { return split(rt, s, a, false); }},
    {"rsplit", [](Runtime& rt, const Value& s, const Arguments& a) { return split(rt, s, a, true); }},
    {"splitlines",
     [](Runtime& rt, const Value& s, const Arguments& a) {
       const Bound args(rt, "splitlines", a, {"keepends"});
       return parts_of(rt, text_of(s), line_ranges(text_of(s).view(), args.flag(0)));
     }},
    {"startswith", [](Runtime& rt, const Value& s, const Arguments& a) { return has_affix(rt, s, a, true); }},
    {"endswith", [](Runtime& rt, const Value& s, const Arguments& a) { return has_affix(rt, s, a, false); }},
    {"removeprefix", [](Runtime& rt, const Value& s, const Arguments& a) { return remove_affix(rt, s, a, true); }},
    {"removesuffix", [](Runtime& rt, const Value& s, const Arguments& a) { return remove_affix(rt, s, a, false); }},
    {"find", [](Runtime& rt, const Value& s, const Arguments& a) { return Value(find_part(rt, s, a, false)); }},
    {"rfind", [](Runtime& rt, const Value& s, const Arguments& a) { return Value(find_part(rt, s, a, true)); }},
    {"index", [](Runtime& rt, const Value& s, const Arguments& a) { return index_of_part(rt, s, a, false); }},
    {"rindex", [](Runtime& rt, const Value& s, const Arguments& a) { return index_of_part(rt, s, a, true); }},
    {"count", count_parts},
    {"replace",
     [](Runtime& rt, const Value& s, const Arguments& a) {
       const Bound args(rt, "replace", a, {"old", "new", "count"}, 2);
       return Value::text(replaced(rt, text_of(s), args.text(0), args.text(1), args.integer(2, -1)));
     }},
    {"join", join},
    {"partition", [](Runtime& rt, const Value& s, const Arguments& a) { return partition(rt, s, a, false); }},
    {"rpartition", [](Runtime& rt, const Value& s, const Arguments& a) { return partition(rt, s, a, true); }},
    {"ljust", [](Runtime& rt, const Value& s, const Arguments& a) { return justify(rt, s, a, Align::kLeft); }},
    {"rjust", [](Runtime& rt, const Value& s, const Arguments& a) { return justify(rt, s, a, Align::kRight); }},
    {"center", [](Runtime& rt, const Value& s, const Arguments& a) { return justify(rt, s, a, Align::kCenter); }},
    {"zfill", zfill},
    {"upper", mapped<to_upper>},
    {"lower", mapped<to_lower>},
    {"title", mapped<to_title>},
    {"capitalize", mapped<to_capitalized>},
    {"isupper", tested<is_upper>},
    {"islower", tested<is_lower>},
    {"isspace", tested<all_spaces>},
    {"isdigit", tested<all_digits>},
    {"isdecimal", tested<all_digits>},
    {"isnumeric", tested<all_digits>},
    {"format",
     [](Runtime& rt, const Value& s, const Arguments& a) { return Value::text(brace_format(rt, text_of(s), a)); }},
    {"casefold", nullptr},
    {"encode", nullptr},
    {"expandtabs", nullptr},
    {"format_map", nullptr},
    {"isalnum", nullptr},
    {"isalpha", nullptr},
    {"isascii", nullptr},
    {"isidentifier", nullptr},
    {"isprintable", nullptr},
    {"istitle", nullptr},
    {"maketrans", nullptr},
    {"swapcase", nullptr},
    {"translate", nullptr},
};

Value count_elements(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "count", arguments, {"value"}, 1);
  const auto items = iterate(rt, self);
  return Value(static_cast<std::int64_t>(std::count_if(items->values.begin(), items->values.end(),
                                                       [&](const Value& x) { return equal(rt, x, args[0]); })));
}

Value index_of_element(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "index", arguments, {"value"}, 1);
  const auto items = iterate(rt, self);
  const auto found =
      std::find_if(items->values.begin(), items->values.end(), [&](const Value& x) { return equal(rt, x, args[0]); });
  if (found == items->values.end()) rt.fail(repr(rt, args[0]).view(), " is not in ", type_name(self));
  return Value(static_cast<std::int64_t>(found - items->values.begin()));
}

Value itself(Runtime& rt, const Value& self, const Arguments& arguments) {
  const Bound args(rt, "copy", arguments, {});
  return self;  // nothing can change a list or dict, so it is as good as a copy
}

constexpr MethodRow kListMethods[] = {{"index", index_of_element}, {"count", count_elements}, {"copy", itself}};
constexpr MethodRow kTupleAndRangeMethods[] = {{"index", index_of_element}, {"count", count_elements}};

Value view_of(Runtime& rt, const Value& self, const Arguments& arguments, DictPart part) {
  const Bound args(rt, "a method of dict", arguments, {});
  return Value(DictView{*self.get_if<Dict>(), part});
}

constexpr MethodRow kDictMethods[] = {
    {"get",
     [](Runtime& rt, const Value& self, const Arguments& a) {
       const Bound args(rt, "get", a, {"key", "default"}, 1);
       if (!is_hashable(args[0])) rt.fail("unhashable type: '", type_name(args[0]), "'");
       const Value* found = (*self.get_if<Dict>())->find(args[0]);
       return found != nullptr ? *found : args.value_or(1, Value::none());
     }},
    {"keys", [](Runtime& rt, const Value& s, const Arguments& a) { return view_of(rt, s, a, DictPart::kKeys); }},
    {"values", [](Runtime& rt, const Value& s, const Arguments& a) { return view_of(rt, s, a, DictPart::kValues); }},
    {"items", [](Runtime& rt, const Value& s, const Arguments& a) { return view_of(rt, s, a, DictPart::kItems); }},
    {"copy", itself},
    {"fromkeys", nullptr},
};

std::span<const MethodRow> methods_of(const Value& value) {
  if (value.is<String>()) return kStringMethods;
  if (value.is<List>()) return kListMethods;
  if (value.is<Tuple>() || value.is<Range>()) return kTupleAndRangeMethods;
  if (value.is<Dict>()) return kDictMethods;
  return {};
}

const MethodRow* find_method(const Value& self, std::string_view name) {
  const auto methods = methods_of(self);
  const auto found = std::find_if(methods.begin(), methods.end(), [name](const auto& row) { return row.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

Value make_callable(Callable::Kind kind, std::string_view name, const Value& self) {
  return Value(Function(std::make_shared<const Callable>(Callable{kind, std::string(name), self})));
}

std::optional<Value> loop_attribute(const Loop& loop, const Value& self, std::string_view name) {
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto length = static_cast<std::int64_t>(loop.items->values.size());
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(length - index);
  if (name == "revindex0") return Value(length - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == length);
  if (name == "length") return Value(length);
  if (name == "depth") return Value(std::int64_t{1});  // as there are no recursive loops
  if (name == "depth0") return Value(std::int64_t{0});
  if (name == "previtem") {
    return index == 0 ? Value::undefined("there is no previous item") : loop.items->values[loop.index - 1];
  }
  if (name == "nextitem") {
    return index + 1 == length ? Value::undefined("there is no next item") : loop.items->values[loop.index + 1];
  }
  if (name == "cycle" || name == "changed") return make_callable(Callable::Kind::kLoopMethod, name, self);
  return std::nullopt;
}

Value call_loop_method(Runtime& rt, const Callable& method, const Arguments& arguments) {
  Loop& loop = **method.self.get_if<Loop*>();
  const std::vector<Value>& values = arguments.positional;
  if (!arguments.named.empty()) rt.fail("loop.", method.name, " takes no keyword arguments");
  if (method.name == "cycle") {
    if (values.empty()) rt.fail("no items for cycling given");
    return values[loop.index % values.size()];
  }
  const Value now = make_tuple(rt, values);
  if (loop.last_changed != nullptr && equal(rt, Value(Tuple{loop.last_changed}), now)) return Value(false);
  loop.last_changed = now.get_if<Tuple>()->items;
  return Value(true);
}

Value make_range(Runtime& rt, const Arguments& arguments) {
  const Bound args(rt, "range", arguments, {"start", "stop", "step"}, 1);
  const std::int64_t start = args.has(1) ? args.integer(0, 0) : 0;
  const std::int64_t stop = args.has(1) ? args.integer(1, 0) : args.integer(0, 0);
  const std::int64_t step = args.integer(2, 1);
  if (step == 0) rt.fail("range() arg 3 must not be zero");
  std::uint64_t length = 0;
  // Differences in unsigned arithmetic, where they can't overflow.
  if (step > 0 && start < stop) {
    length =
        (static_cast<std::uint64_t>(stop) - static_cast<std::uint64_t>(start) - 1) / static_cast<std::uint64_t>(step) +
        1;
  } else if (step < 0 && stop < start) {
    length = (static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(stop) - 1) /
                 (0 - static_cast<std::uint64_t>(step)) +
             1;
  }
  if (length > static_cast<std::uint64_t>(rt.limits().range_length)) {
    rt.fail("range of ", length, " elements; the limit is ", rt.limits().range_length);
  }
  return Value(Range{start, stop, step, static_cast<std::int64_t>(length)});
}

Value make_dict_of(Runtime& rt, const Arguments& arguments) {
  std::vector<DictData::Entry> entries;
  if (arguments.positional.size() > 1) rt.fail("dict expected at most 1 argument");
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional.front();
    if (const auto* dict = source.get_if<Dict>()) {
      entries = (*dict)->entries();
    } else {
      if (source.is<Undefined>()) fail_undefined(rt, source);
      const auto pairs = iterate(rt, source);
      for (const Value& pair : pairs->values) {
        const auto both = iterate(rt, pair);
        if (both->values.size() != 2) rt.fail("dict: an element has length ", both->values.size(), "; 2 is required");
        entries.emplace_back(both->values[0], both->values[1]);
      }
    }
  }
  entries.insert(entries.end(), arguments.named.begin(), arguments.named.end());
  return make_dict(rt, std::move(entries));
}

Value strftime_now(Runtime& rt, const Arguments& arguments) {
  const Bound args(rt, "strftime_now", arguments, {"format"}, 1);
  const std::time_t now = rt.now();
  std::tm local{};
  if (localtime_r(&now, &local) == nullptr) rt.fail("the time is out of range");
  constexpr std::size_t kMaxFormat = 200;
  const std::string format =
      args.text(0).bytes() + ' ';  // so that the result is never empty, which strftime can't tell
  if (format.size() > kMaxFormat || format.find('\0') != std::string::npos) rt.fail("strftime_now: bad format");
  std::string text(8 * kMaxFormat, '\0');
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const std::size_t size = std::strftime(text.data(), text.size(), format.c_str(), &local);
#pragma GCC diagnostic pop
  if (size == 0) rt.fail("strftime_now: the result is too long");
  text.resize(size - 1);
  return Value::trusted(text);
}

}  // namespace

std::optional<Value> python_attribute(Runtime& rt, const Value& object, std::string_view name) {
  rt.spend(1);
  if (name.starts_with('_')) return std::nullopt;
  if (const auto* ns = object.get_if<Namespace*>()) {
    const auto found = (*ns)->attributes.find(name);
    return found == (*ns)->attributes.end() ? std::nullopt : std::optional<Value>(found->second);
  }
  if (const auto* loop = object.get_if<Loop*>()) return loop_attribute(**loop, object, name);
  if (find_method(object, name) != nullptr) return make_callable(Callable::Kind::kMethod, name, object);
  if (const auto* function = object.get_if<Function>(); function != nullptr && name == "name") {
    if ((*function)->kind == Callable::Kind::kMacro) return Value::trusted((*function)->name);
  }
  return std::nullopt;
}

Value call_method(Runtime& rt, const Callable& method, const Arguments& arguments) {
  if (method.kind == Callable::Kind::kLoopMethod) return call_loop_method(rt, method, arguments);
  const MethodRow* row = find_method(method.self, method.name);
  if (row->call == nullptr) rt.fail("the method ", type_name(method.self), ".", method.name, " is not supported");
  return row->call(rt, method.self, arguments);
}

std::optional<Value> global_function(std::string_view name) {
  for (const std::string_view known : {"range", "namespace", "dict", "raise_exception", "strftime_now"}) {
    if (name == known) return make_callable(Callable::Kind::kFunction, name, Value());
  }
  return std::nullopt;
}

Value call_global_function(Runtime& rt, std::string_view name, const Arguments& arguments) {
  if (name == "range") return make_range(rt, arguments);
  if (name == "dict") return make_dict_of(rt, arguments);
  if (name == "strftime_now") return strftime_now(rt, arguments);
  const Bound args(rt, name, arguments, {"message"}, 1);  // raise_exception
  // The message is the template's; it ends as its author ended it.
  throw Error(ErrorKind::kBadInput, str("chat template, line ", rt.line(),
                                        ": the template refuses this request: ", to_text(rt, args[0]).view()));
}

MarkedText replaced(Runtime& rt, const MarkedText& text, const MarkedText& old, const MarkedText& by,
                    std::int64_t count) {
  MarkedText result;
  rt.spend_text(text.size());
  const auto put = [&](const MarkedText& piece, std::size_t begin, std::size_t end) {
    if (end - begin > rt.limits().output_bytes - result.size()) rt.fail("a text becomes too long");
    rt.spend_text(end - begin);
    result.append(piece, begin, end);
  };
  std::size_t at = 0;
  for (std::int64_t n = 0; n != count; ++n) {
    if (old.empty()) {  // `by` goes before every character and behind the last
      if (n > 0) {
        if (at == text.size()) return result;
        const std::size_t next = at + first_code_point(text.view().substr(at)).length;
        put(text, at, next);
        at = next;
      }
      put(by, 0, by.size());
      continue;
    }
    const std::size_t found = text.view().find(old.view(), at);
    if (found == std::string_view::npos) break;
    put(text, at, found);
    put(by, 0, by.size());
    at = found + old.size();
  }
  put(text, at, text.size());
  return result;
}

}  // namespace carat::jinja
