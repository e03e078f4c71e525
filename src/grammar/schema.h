// Schema: a JSON schema in a form that rules can be made from: what each value may be, without keywords.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"

namespace carat {

using SchemaId = std::size_t;  // index into Schema::nodes

struct AnyValue {};
struct NoValue {};  // the schema `false`
struct NullValue {};
struct BooleanValue {};
struct NumberValue {
  struct Bound {
    double value;
    bool is_exclusive;
  };
  bool is_integer = false;
  std::optional<Bound> min, max;
};
struct StringValue {
  std::size_t min_length = 0;  // code points
  std::optional<std::size_t> max_length;
  std::string pattern;  // ECMA regular expression, found anywhere in the text; empty: none
  std::string format;   // one of known_formats(), or empty
};
struct LiteralValue {
  std::vector<json::value> values;  // one of them
};
struct ArrayValue {
  std::vector<SchemaId> prefix;   // of the first elements
  std::optional<SchemaId> items;  // of the others; none: there are no others
  std::size_t min_items = 0;
  std::optional<std::size_t> max_items;
};
struct ObjectValue {
  struct Property {
    std::string name;
    SchemaId schema;
    bool is_required;
  };
  std::vector<Property> properties;    // in the order in which an answer has them
  std::optional<SchemaId> additional;  // of properties with other names; none: there are no others
};
struct UnionValue {
  std::vector<SchemaId> alternatives;
};

using SchemaNode = std::variant<AnyValue, NoValue, NullValue, BooleanValue, NumberValue, StringValue, LiteralValue,
                                ArrayValue, ObjectValue, UnionValue>;

struct Schema {
  std::vector<SchemaNode> nodes;  // may refer to each other in circles
  SchemaId root = 0;
};

struct SchemaOptions {
  std::string where = "schema";  // begins the messages of errors
  bool is_strict = true;         // refuse keywords that aren't understood, or pass over them
  std::size_t max_depth = 64;
};

// Whatever the result describes, the schema allows; not always the other way round: objects have no properties that
// the schema doesn't name unless it says so ("additionalProperties"), and properties come in the schema's order.
// Throws Error(kBadInput) for what is no schema, Error(kUnsupported) for what isn't understood, naming keyword and
// path.
Schema read_schema(const json::value& document, const SchemaOptions& options);

// Values of "format" that are held to; others, as the specification has it, say nothing.
bool is_known_format(std::string_view name);

}  // namespace carat
