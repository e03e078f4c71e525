// The values of a running template. They are Python's: what Jinja templates can observe of str, list, dict and so on.
//
// All values but namespaces and loops are immutable once made, and hold only older ones, so references form no cycles.
// Namespaces and loops can change; the evaluator owns them until the template has been rendered.
#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "chat/jinja_runtime.h"
#include "chat/marked_text.h"

namespace carat::jinja {

class Value;
struct Loop;
struct Namespace;
struct Callable;
class DictData;
struct Items;

// A name without a value. `why` words the error that most uses of it raise; null in a variable not assigned yet.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};
using String = std::shared_ptr<const MarkedText>;
struct List {
  std::shared_ptr<const Items> items;
};
struct Tuple {
  std::shared_ptr<const Items> items;
};
using Dict = std::shared_ptr<const DictData>;
struct Range {
  std::int64_t start = 0;
  std::int64_t stop = 0;
  std::int64_t step = 1;
  std::int64_t length = 0;
  std::int64_t operator[](std::int64_t i) const { return start + i * step; }
};
enum class DictPart { kKeys, kValues, kItems };
struct DictView {
  Dict dict;
  DictPart part;
};
// What filters such as map leave: it can be walked through once.
struct IteratorState;
using Iterator = std::shared_ptr<IteratorState>;
using Function = std::shared_ptr<const Callable>;

// True where T is one of a variant's alternatives.
template <typename T, typename Variant>
inline constexpr bool kIsAlternative = false;
template <typename T, typename... Alternatives>
inline constexpr bool kIsAlternative<T, std::variant<Alternatives...>> = (std::is_same_v<T, Alternatives> || ...);

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, std::int64_t, double, String, List, Tuple, Dict, Range, DictView,
                            Iterator, Namespace*, Loop*, Function>;

  Value() = default;  // a variable not assigned yet
  template <typename T>
  requires kIsAlternative<T, Data>
  explicit Value(T data) : data_(std::in_place_type<T>, std::move(data)) {}

  static Value none() { return Value(None{}); }
  static Value text(MarkedText text) { return Value(String(std::make_shared<const MarkedText>(std::move(text)))); }
  // A string the template itself makes.
  static Value trusted(std::string_view text) { return Value::text(MarkedText(std::string(text), true)); }
  static Value undefined(std::string why) {
    return Value(Undefined{std::make_shared<const std::string>(std::move(why))});
  }

  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }
  bool is_number() const { return is<bool>() || is<std::int64_t>() || is<double>(); }  // a bool counts, as in Python
  // The text of a string, null for other values.
  const MarkedText* text_if() const {
    const String* string = get_if<String>();
    return string == nullptr ? nullptr : string->get();
  }
  // The elements of a list or tuple, null for other values.
  const std::vector<Value>* elements_if() const;

 private:
  Data data_;
};

// Elements of a list or tuple, and how deep containers nest in it (1: none does).
struct Items {
  std::vector<Value> values;
  std::size_t depth = 1;
};

// Key-value pairs in the order of insertion. Keys are none, undefined, numbers, strings and tuples of these.
class DictData {
 public:
  using Entry = std::pair<Value, Value>;

  // A key that occurs again replaces the value of its first occurrence, as in Python. Fails on a key that can't be one.
  DictData(Runtime& rt, std::vector<Entry> entries);

  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t depth() const { return depth_; }
  // The value of key, or null. A value that can't be a key is not found.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;

 private:
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> order_;  // indices of entries_, sorted by key
  std::size_t depth_ = 1;
};

struct IteratorState {
  std::shared_ptr<const Items> items;
  std::size_t next = 0;
  std::string_view type_name;  // what Python calls it
};

struct Namespace {
  std::map<std::string, Value, std::less<>> attributes;
};

// The `loop` of a for statement.
struct Loop {
  std::shared_ptr<const Items> items;
  std::size_t index = 0;
  std::shared_ptr<const Items> last_changed;
};

struct Macro;
struct Activation;

// Something a template can call.
struct Callable {
  enum class Kind {
    kFunction,    // a global function: name
    kMethod,      // self.name of a string, list, dict, ...
    kLoopMethod,  // loop.cycle or loop.changed: self is the loop
    kMacro,
  };
  Kind kind;
  std::string name;
  Value self;
  const Macro* macro = nullptr;
  Activation* activation = nullptr;  // of a macro: the variables around its definition
};

// What a call brings: positional and named arguments. Names are strings, as ** may bring them from a dict.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<Value, Value>> named;
};

std::shared_ptr<const Items> make_items(Runtime& rt, std::vector<Value> values);
Value make_list(Runtime& rt, std::vector<Value> values);
Value make_tuple(Runtime& rt, std::vector<Value> values);
Value make_dict(Runtime& rt, std::vector<DictData::Entry> entries);
Value make_iterator(Runtime& rt, std::vector<Value> values, std::string_view type_name = "generator");
// A string of at most the permitted length.
Value make_text(Runtime& rt, MarkedText text);

// A JSON document from outside: all its strings, keys too, are marked as untrusted.
Value from_json(Runtime& rt, const boost::json::value& value);

// Python's name of the value's type: "str", "NoneType", ...
std::string_view type_name(const Value& value);

// Order of numbers of any two kinds: negative, zero or positive; NaN is below all others and equal to itself.
int compare_numbers(const Value& a, const Value& b);

// A total order of possible keys in which 1, 1.0 and true are equal, as in Python.
int compare_keys(const Value& a, const Value& b);
bool can_be_key(const Value& value);
void check_key(Runtime& rt, const Value& value);  // fails unless can_be_key
// Whether Python's hash() takes the value; can_be_key is narrower.
bool is_hashable(const Value& value);

}  // namespace carat::jinja
