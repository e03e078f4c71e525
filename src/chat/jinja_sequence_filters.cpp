#include "chat/jinja_sequence_filters.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <utility>

#include "chat/jinja_arguments.h"
#include "chat/jinja_filters.h"
#include "chat/jinja_format.h"
#include "chat/jinja_operators.h"
#include "chat/python_text.h"

namespace carat::jinja {
namespace {

// What sorting and comparing filters look at: strings in lower case unless the case counts.
Value folded(Runtime& rt, const Value& value, bool is_case_sensitive) {
  const MarkedText* text = value.text_if();
  if (is_case_sensitive || text == nullptr) return value;
  rt.spend(1 + text->size() / 8);
  return Value::text(to_lower(*text));
}

// The parts of the path "a.b.0": strings, and integers where a part is all digits.
std::vector<Value> path_parts(Runtime& rt, const Value& path) {
  const MarkedText* text = path.text_if();
  if (text == nullptr) return path.is<None>() ? std::vector<Value>{} : std::vector<Value>{path};
  std::vector<Value> parts;
  for (const TextRange& range : split_ranges(text->view(), ".", text->size(), false)) {
    const std::string_view part = text->view().substr(range.begin, range.end - range.begin);
    const bool is_number =
        !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    std::int64_t number = 0;
    if (is_number && std::from_chars(part.data(), part.data() + part.size(), number).ec == std::errc()) {
      parts.emplace_back(number);
    } else {
      parts.push_back(Value::text(text->part(range.begin, range.end)));
    }
  }
  rt.spend(parts.size());
  return parts;
}

// The attribute that Bound argument i names, of one item; the item itself when it names none. An undefined step
// becomes `fallback`, when there is one.
Value attribute_of(Runtime& rt, const Value& item, const std::vector<Value>& parts, const Value* fallback = nullptr) {
  Value value = item;
  for (const Value& part : parts) {
    value = get_item(rt, value, part);
    if (fallback != nullptr && value.is<Undefined>()) value = *fallback;
  }
  return value;
}

std::vector<Value> parts_of_argument(Runtime& rt, const Bound& args, std::size_t i) {
  return args.has_value(i) ? path_parts(rt, args[i]) : std::vector<Value>{};
}

using Keyed = std::pair<Value, Value>;  // sort key, item

// Python's sorted(): stable, also in reverse.
void sort_by_key(Runtime& rt, std::vector<Keyed>& items, bool is_reverse) {
  if (is_reverse) std::reverse(items.begin(), items.end());
  std::stable_sort(items.begin(), items.end(),
                   [&rt](const Keyed& a, const Keyed& b) { return less(rt, a.first, b.first); });
  if (is_reverse) std::reverse(items.begin(), items.end());
}

std::vector<Value> items_of(std::vector<Keyed> keyed) {
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (Keyed& pair : keyed) items.push_back(std::move(pair.second));
  return items;
}

Value extreme(Runtime& rt, const Value& input, const Arguments& arguments, bool wants_max) {
  const Bound args(rt, wants_max ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const auto items = iterate(rt, input);
  if (items->values.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const std::vector<Value> parts = parts_of_argument(rt, args, 1);
  const auto key_of = [&](const Value& item) { return folded(rt, attribute_of(rt, item, parts), args.flag(0)); };
  const Value* best = &items->values.front();
  Value best_key = key_of(*best);
  for (std::size_t i = 1; i < items->values.size(); ++i) {
    Value key = key_of(items->values[i]);
    if (wants_max ? !less(rt, best_key, key) : !less(rt, key, best_key)) continue;
    best = &items->values[i];
    best_key = std::move(key);
  }
  return *best;
}

// select, reject and their attr forms: keeps the items for which a test, or the truth when none is named, is `wanted`.
Value selected(Runtime& rt, const Value& input, const Arguments& arguments, bool has_attribute, bool wanted) {
  if (!truth(input)) return make_iterator(rt, {});
  const auto items = iterate(rt, input);
  Arguments rest = arguments;
  std::vector<Value> parts;
  if (has_attribute) {
    if (rest.positional.empty()) rt.fail("Missing parameter for attribute name");
    parts = path_parts(rt, rest.positional.front());
    rest.positional.erase(rest.positional.begin());
  }
  std::string test;
  if (!rest.positional.empty()) {
    const MarkedText* name = rest.positional.front().text_if();
    if (name == nullptr) rt.fail("the name of a test must be a string");
    test = name->bytes();
    rest.positional.erase(rest.positional.begin());
  }
  std::vector<Value> kept;
  for (const Value& item : items->values) {
    rt.spend(1);
    const Value value = attribute_of(rt, item, parts);
    if ((test.empty() ? truth(value) : apply_test(rt, test, value, rest)) == wanted) kept.push_back(item);
  }
  return make_iterator(rt, std::move(kept));
}

}  // namespace

Value filter_batch(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "batch", arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t size = args.integer(0, 0);
  if (size > rt.limits().range_length) rt.fail("batch: ", size, " columns are too many");
  std::vector<Value> batches;
  std::vector<Value> batch;
  const auto items = iterate(rt, input);
  for (std::size_t i = 0; i < items->values.size(); ++i) {
    // Python compares the length with linecount before it appends: with a linecount of 0 the first batch is empty.
    if (static_cast<std::int64_t>(batch.size()) == size) batches.push_back(make_list(rt, std::exchange(batch, {})));
    batch.push_back(items->values[i]);
  }
  if (!batch.empty()) {
    while (args.has_value(1) && static_cast<std::int64_t>(batch.size()) < size) batch.push_back(args[1]);
    batches.push_back(make_list(rt, std::move(batch)));
  }
  return make_iterator(rt, std::move(batches));
}

Value filter_dictsort(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = args.has(1) ? args.text(1).bytes() : "key";
  if (by != "key" && by != "value") rt.fail("You can only sort by either \"key\" or \"value\"");
  if (input.is<Undefined>()) fail_undefined(rt, input);
  const auto* dict = input.get_if<Dict>();
  if (dict == nullptr) rt.fail("'", type_name(input), "' object has no attribute 'items'");
  std::vector<Keyed> pairs;
  for (const auto& [key, value] : (*dict)->entries()) {
    pairs.emplace_back(folded(rt, by == "key" ? key : value, args.flag(0)), make_tuple(rt, {key, value}));
  }
  sort_by_key(rt, pairs, args.flag(2));
  return make_list(rt, items_of(std::move(pairs)));
}

Value filter_first(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "first", arguments, {});
  if (const auto* iterator = input.get_if<Iterator>()) {  // takes one and leaves the rest
    IteratorState& state = **iterator;
    if (state.next < state.items->values.size()) return state.items->values[state.next++];
  } else {
    const auto items = iterate(rt, input);
    if (!items->values.empty()) return items->values.front();
  }
  return Value::undefined("No first item, sequence was empty.");
}

Value filter_groupby(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const std::vector<Value> parts = path_parts(rt, args[0]);
  const Value* fallback = args.has_value(1) ? &args[1] : nullptr;
  std::vector<Keyed> keyed;
  const auto items = iterate(rt, input);
  for (const Value& item : items->values) {
    keyed.emplace_back(folded(rt, attribute_of(rt, item, parts, fallback), args.flag(2)), item);
  }
  sort_by_key(rt, keyed, false);
  std::vector<Value> groups;
  for (std::size_t i = 0; i < keyed.size();) {
    const Value first = attribute_of(rt, keyed[i].second, parts, fallback);
    const Value key = keyed[i].first;
    std::vector<Value> members;
    for (; i < keyed.size() && equal(rt, keyed[i].first, key); ++i) members.push_back(keyed[i].second);
    if (members.empty()) rt.fail("groupby: a key that does not equal itself");
    groups.push_back(make_tuple(rt, {first, make_list(rt, std::move(members))}));
  }
  return make_list(rt, std::move(groups));
}

Value filter_items(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "items", arguments, {});
  if (input.is<Undefined>()) return make_iterator(rt, {});
  const auto* dict = input.get_if<Dict>();
  if (dict == nullptr) rt.fail("Can only get item pairs from a mapping.");
  return make_iterator(rt, iterate(rt, Value(DictView{*dict, DictPart::kItems}))->values);
}

Value filter_join(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "join", arguments, {"d", "attribute"});
  const MarkedText separator = args.has(0) ? to_text(rt, args[0]) : MarkedText();
  const std::vector<Value> parts = parts_of_argument(rt, args, 1);
  MarkedText result;
  bool is_first = true;
  const auto items = iterate(rt, input);
  for (const Value& item : items->values) {
    if (!std::exchange(is_first, false)) result.append(separator);
    const MarkedText text = to_text(rt, attribute_of(rt, item, parts));
    if (result.size() + text.size() > rt.limits().output_bytes) rt.fail("join: the text becomes too long");
    rt.spend_text(separator.size() + text.size());
    result.append(text);
  }
  return make_text(rt, std::move(result));
}

Value filter_last(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "last", arguments, {});
  if (input.is<Iterator>()) rt.fail("'", type_name(input), "' object is not reversible");
  const auto items = iterate(rt, input);
  if (!items->values.empty()) return items->values.back();
  return Value::undefined("No last item, sequence was empty.");
}

Value filter_list(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "list", arguments, {});
  return Value(List{iterate(rt, input)});
}

Value filter_map(Runtime& rt, const Value& input, const Arguments& arguments) {
  if (!truth(input)) return make_iterator(rt, {});
  const auto items = iterate(rt, input);
  std::vector<Value> results;
  if (arguments.positional.empty()) {
    const Bound args(rt, "map", arguments, {"attribute", "default"}, 1);
    const std::vector<Value> parts = path_parts(rt, args[0]);
    const Value* fallback = args.has_value(1) ? &args[1] : nullptr;
    for (const Value& item : items->values) results.push_back(attribute_of(rt, item, parts, fallback));
  } else {
    Arguments rest = arguments;
    const MarkedText* name = arguments.positional.front().text_if();
    if (name == nullptr) rt.fail("the name of a filter must be a string");
    rest.positional.erase(rest.positional.begin());
    for (const Value& item : items->values) results.push_back(apply_filter(rt, name->view(), item, rest));
  }
  return make_iterator(rt, std::move(results));
}

Value filter_max(Runtime& rt, const Value& input, const Arguments& arguments) {
  return extreme(rt, input, arguments, true);
}

Value filter_min(Runtime& rt, const Value& input, const Arguments& arguments) {
  return extreme(rt, input, arguments, false);
}

Value filter_reject(Runtime& rt, const Value& input, const Arguments& arguments) {
  return selected(rt, input, arguments, false, false);
}

Value filter_rejectattr(Runtime& rt, const Value& input, const Arguments& arguments) {
  return selected(rt, input, arguments, true, false);
}

Value filter_reverse(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "reverse", arguments, {});
  if (input.is<String>()) return get_slice(rt, input, Value::none(), Value::none(), Value(std::int64_t{-1}));
  const auto items = iterate(rt, input);
  std::vector<Value> reversed(items->values.rbegin(), items->values.rend());
  // Of an iterator, which can't be walked backwards, Jinja makes a list.
  if (input.is<Iterator>() || input.is<Undefined>()) return make_list(rt, std::move(reversed));
  return make_iterator(rt, std::move(reversed), "reversed");
}

Value filter_select(Runtime& rt, const Value& input, const Arguments& arguments) {
  return selected(rt, input, arguments, false, true);
}

Value filter_selectattr(Runtime& rt, const Value& input, const Arguments& arguments) {
  return selected(rt, input, arguments, true, true);
}

Value filter_slice(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "slice", arguments, {"slices", "fill_with"}, 1);
  const std::int64_t count = args.integer(0, 0);
  if (count == 0) rt.fail("integer division or modulo by zero");
  if (count > rt.limits().range_length) rt.fail("slice: ", count, " columns are too many");
  const auto items = iterate(rt, input);
  std::vector<Value> slices;
  const std::size_t n = count > 0 ? static_cast<std::size_t>(count) : 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const bool is_longer = i < items->values.size() % n;
    const std::size_t end = begin + items->values.size() / n + (is_longer ? 1 : 0);
    std::vector<Value> slice(items->values.begin() + static_cast<std::ptrdiff_t>(begin),
                             items->values.begin() + static_cast<std::ptrdiff_t>(end));
    if (args.has_value(1) && !is_longer) slice.push_back(args[1]);
    slices.push_back(make_list(rt, std::move(slice)));
    begin = end;
  }
  return make_iterator(rt, std::move(slices));
}

Value filter_sort(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "sort", arguments, {"reverse", "case_sensitive", "attribute"});
  // "a,b.c" names several attributes.
  std::vector<std::vector<Value>> paths;
  if (args.has_value(2) && args[2].is<String>()) {
    const MarkedText& list = args.text(2);
    for (const TextRange& range : split_ranges(list.view(), ",", list.size(), false)) {
      paths.push_back(path_parts(rt, Value::text(list.part(range.begin, range.end))));
    }
  } else {
    paths.push_back(parts_of_argument(rt, args, 2));
  }
  std::vector<Keyed> keyed;
  const auto items = iterate(rt, input);
  for (const Value& item : items->values) {
    std::vector<Value> key;
    key.reserve(paths.size());
    for (const auto& path : paths) key.push_back(folded(rt, attribute_of(rt, item, path), args.flag(1)));
    keyed.emplace_back(make_list(rt, std::move(key)), item);
  }
  sort_by_key(rt, keyed, args.flag(0));
  return make_list(rt, items_of(std::move(keyed)));
}

Value filter_sum(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "sum", arguments, {"attribute", "start"});
  Value total = args.value_or(1, Value(std::int64_t{0}));
  if (total.is<String>()) rt.fail("sum() can't sum strings [use ''.join(seq) instead]");
  const std::vector<Value> parts = parts_of_argument(rt, args, 0);
  const auto items = iterate(rt, input);
  for (const Value& item : items->values) {
    total = arithmetic(rt, ArithmeticOp::kAdd, total, attribute_of(rt, item, parts));
  }
  return total;
}

Value filter_unique(Runtime& rt, const Value& input, const Arguments& arguments) {
  const Bound args(rt, "unique", arguments, {"case_sensitive", "attribute"});
  const std::vector<Value> parts = parts_of_argument(rt, args, 1);
  const auto before = [](const Value& a, const Value& b) { return compare_keys(a, b) < 0; };
  std::set<Value, decltype(before)> seen(before);
  std::vector<Value> kept;
  const auto items = iterate(rt, input);
  for (const Value& item : items->values) {
    rt.spend(4);
    Value key = folded(rt, attribute_of(rt, item, parts), args.flag(0));
    check_key(rt, key);
    if (seen.insert(std::move(key)).second) kept.push_back(item);
  }
  return make_iterator(rt, std::move(kept));
}

}  // namespace carat::jinja
