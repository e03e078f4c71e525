#include "chat/jinja_value.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/unicode.h"

namespace carat::jinja {
namespace {

// How deep containers nest in a value: 0 for one that is none.
std::size_t depth_of(const Value& value) {
  if (const auto* list = value.get_if<List>()) return list->items->depth;
  if (const auto* tuple = value.get_if<Tuple>()) return tuple->items->depth;
  if (const auto* dict = value.get_if<Dict>()) return (*dict)->depth();
  if (const auto* view = value.get_if<DictView>()) return view->dict->depth() + 1;
  if (const auto* iterator = value.get_if<Iterator>()) return (*iterator)->items->depth + 1;
  if (const auto* function = value.get_if<Function>()) return depth_of((*function)->self) + 1;
  return 0;
}

std::size_t checked_depth(Runtime& rt, std::size_t depth) {
  if (depth > rt.limits().value_depth) rt.fail("values nest more than ", rt.limits().value_depth, " deep");
  return depth;
}

int sign(std::int64_t a, std::int64_t b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Compares without rounding the integer.
int compare_mixed(std::int64_t a, double b) {
  if (std::isnan(b)) return 1;
  if (b >= 9223372036854775808.0) return -1;
  if (b < -9223372036854775808.0) return 1;
  const double whole = std::floor(b);
  const int order = sign(a, static_cast<std::int64_t>(whole));
  return order != 0 ? order : (b > whole ? -1 : 0);
}

std::int64_t as_integer(const Value& value) {
  const bool* boolean = value.get_if<bool>();
  return boolean != nullptr ? static_cast<std::int64_t>(*boolean) : *value.get_if<std::int64_t>();
}

// Which of the kinds of keys a value is; kinds are ordered by this number.
int key_rank(const Value& value) {
  if (value.is<None>()) return 0;
  if (value.is_number()) return 1;
  if (value.is<String>()) return 2;
  return value.is<Undefined>() ? 3 : 4;
}

MarkedText untrusted_text(Runtime& rt, std::string_view text) {
  if (!is_valid_utf8(text)) rt.fail("a string of the request is not valid UTF-8");
  rt.spend_text(text.size());
  return {std::string(text), false};
}

}  // namespace

const std::vector<Value>* Value::elements_if() const {
  if (const auto* list = get_if<List>()) return &list->items->values;
  if (const auto* tuple = get_if<Tuple>()) return &tuple->items->values;
  return nullptr;
}

std::shared_ptr<const Items> make_items(Runtime& rt, std::vector<Value> values) {
  rt.spend(1 + values.size());
  std::size_t depth = 0;
  for (const Value& value : values) depth = std::max(depth, depth_of(value));
  return std::make_shared<const Items>(Items{std::move(values), checked_depth(rt, depth + 1)});
}

Value make_list(Runtime& rt, std::vector<Value> values) {
  return Value(List{make_items(rt, std::move(values))});
}
Value make_tuple(Runtime& rt, std::vector<Value> values) {
  return Value(Tuple{make_items(rt, std::move(values))});
}

Value make_dict(Runtime& rt, std::vector<DictData::Entry> entries) {
  return Value(Dict(std::make_shared<const DictData>(rt, std::move(entries))));
}

Value make_iterator(Runtime& rt, std::vector<Value> values, std::string_view type_name) {
  return Value(
      Iterator(std::make_shared<IteratorState>(IteratorState{make_items(rt, std::move(values)), 0, type_name})));
}

Value make_text(Runtime& rt, MarkedText text) {
  rt.check_text_size(text.size());
  return Value::text(std::move(text));
}

DictData::DictData(Runtime& rt, std::vector<Entry> entries) : entries_(std::move(entries)) {
  rt.spend(1 + 4 * entries_.size());
  for (const Entry& entry : entries_) {
    check_key(rt, entry.first);
    depth_ = std::max({depth_, depth_of(entry.first) + 1, depth_of(entry.second) + 1});
  }
  checked_depth(rt, depth_);
  const auto by_key = [this](std::size_t a, std::size_t b) {
    return compare_keys(entries_[a].first, entries_[b].first) < 0;
  };
  std::vector<std::uint32_t> order(entries_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), by_key);

  // Of equal keys the first keeps its place and the last gives the value.
  std::vector<bool> is_dropped(entries_.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t j = i + 1;
    while (j < order.size() && !by_key(order[i], order[j])) is_dropped[order[j++]] = true;
    if (j > i + 1) entries_[order[i]].second = entries_[order[j - 1]].second;
    i = j;
  }
  std::vector<std::uint32_t> new_index(entries_.size());
  std::uint32_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    new_index[i] = kept;
    if (is_dropped[i]) continue;
    if (kept != i) entries_[kept] = std::move(entries_[i]);
    ++kept;
  }
  entries_.resize(kept);
  for (const std::uint32_t i : order) {
    if (!is_dropped[i]) order_.push_back(new_index[i]);
  }
}

const Value* DictData::find(const Value& key) const {
  if (!can_be_key(key)) return nullptr;
  const auto found = std::lower_bound(order_.begin(), order_.end(), key, [this](std::uint32_t i, const Value& k) {
    return compare_keys(entries_[i].first, k) < 0;
  });
  if (found == order_.end() || compare_keys(entries_[*found].first, key) != 0) return nullptr;
  return &entries_[*found].second;
}

const Value* DictData::find(std::string_view key) const {
  return find(Value::trusted(key));
}

Value from_json(Runtime& rt, const boost::json::value& value) {
  namespace bj = boost::json;
  switch (value.kind()) {
    case bj::kind::null:
      return Value::none();
    case bj::kind::bool_:
      return Value(value.get_bool());
    case bj::kind::int64:
      return Value(value.get_int64());
    case bj::kind::uint64: {
      const std::uint64_t number = value.get_uint64();
      if (number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return Value(static_cast<std::int64_t>(number));
      }
      return Value(static_cast<double>(number));
    }
    case bj::kind::double_:
      return Value(value.get_double());
    case bj::kind::string:
      return Value::text(untrusted_text(rt, value.get_string()));
    case bj::kind::array: {
      std::vector<Value> values;
      for (const bj::value& element : value.get_array()) values.push_back(from_json(rt, element));
      return make_list(rt, std::move(values));
    }
    case bj::kind::object: {
      std::vector<DictData::Entry> entries;
      for (const auto& [key, element] : value.get_object()) {
        entries.emplace_back(Value::text(untrusted_text(rt, key)), from_json(rt, element));
      }
      return make_dict(rt, std::move(entries));
    }
  }
  return Value::none();
}

std::string_view type_name(const Value& value) {
  if (const auto* view = value.get_if<DictView>()) {
    return view->part == DictPart::kKeys ? "dict_keys" : view->part == DictPart::kValues ? "dict_values" : "dict_items";
  }
  if (const auto* iterator = value.get_if<Iterator>()) return (*iterator)->type_name;
  if (const auto* function = value.get_if<Function>()) {
    return (*function)->kind == Callable::Kind::kMacro ? "Macro" : "builtin_function_or_method";
  }
  if (value.is<Undefined>()) return "Undefined";
  if (value.is<None>()) return "NoneType";
  if (value.is<bool>()) return "bool";
  if (value.is<std::int64_t>()) return "int";
  if (value.is<double>()) return "float";
  if (value.is<String>()) return "str";
  if (value.is<List>()) return "list";
  if (value.is<Tuple>()) return "tuple";
  if (value.is<Dict>()) return "dict";
  if (value.is<Range>()) return "range";
  return value.is<Namespace*>() ? "Namespace" : "LoopContext";
}

int compare_numbers(const Value& a, const Value& b) {
  const double* x = a.get_if<double>();
  const double* y = b.get_if<double>();
  if (x == nullptr && y == nullptr) return sign(as_integer(a), as_integer(b));
  if (x == nullptr) return compare_mixed(as_integer(a), *y);
  if (y == nullptr) return -compare_mixed(as_integer(b), *x);
  if (std::isnan(*x) || std::isnan(*y)) return static_cast<int>(std::isnan(*y)) - static_cast<int>(std::isnan(*x));
  return *x < *y ? -1 : *x > *y ? 1 : 0;
}

int compare_keys(const Value& a, const Value& b) {
  const int rank = key_rank(a);
  if (rank != key_rank(b)) return rank < key_rank(b) ? -1 : 1;
  if (rank == 0 || rank == 3) return 0;
  if (rank == 1) return compare_numbers(a, b);
  if (rank == 2) {
    const int order = a.text_if()->view().compare(b.text_if()->view());
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  const std::vector<Value>& x = *a.elements_if();
  const std::vector<Value>& y = *b.elements_if();
  for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
    const int order = compare_keys(x[i], y[i]);
    if (order != 0) return order;
  }
  return x.size() < y.size() ? -1 : x.size() > y.size() ? 1 : 0;
}

bool can_be_key(const Value& value) {
  if (value.is<Tuple>()) {
    const std::vector<Value>& elements = *value.elements_if();
    return std::all_of(elements.begin(), elements.end(), can_be_key);
  }
  return value.is<None>() || value.is_number() || value.is<String>() || value.is<Undefined>();
}

void check_key(Runtime& rt, const Value& value) {
  if (can_be_key(value)) return;
  if (is_hashable(value)) rt.fail("a ", type_name(value), " as a key is not supported");
  rt.fail("unhashable type: '", type_name(value), "'");
}

bool is_hashable(const Value& value) {
  if (value.is<Tuple>()) {
    const std::vector<Value>& elements = *value.elements_if();
    return std::all_of(elements.begin(), elements.end(), is_hashable);
  }
  const auto* view = value.get_if<DictView>();
  return !value.is<List>() && !value.is<Dict>() && (view == nullptr || view->part == DictPart::kValues);
}

}  // namespace carat::jinja
