#include "grammar/schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <utility>

namespace carat {
namespace {

constexpr std::size_t kMaxNodes = 20'000;
constexpr std::size_t kMaxMerges = 1000;  // each copies what it merges
// Of characters or elements. What has to be there at least is written out in the grammar.
constexpr std::size_t kMaxLeast = 64;
constexpr std::size_t kMaxMost = 1'000'000;

// Keywords that say nothing about which values are valid.
constexpr std::array kAnnotations{"$schema",      "$id",         "$comment",   "$defs",           "definitions",
                                  "title",        "description", "default",    "examples",        "example",
                                  "readOnly",     "writeOnly",   "deprecated", "contentEncoding", "enumNames",
                                  "externalDocs", "xml",         "nullable",   "contentMediaType"};

// Keywords that are understood.
constexpr std::array kKeywords{"$ref",
                               "type",
                               "enum",
                               "const",
                               "anyOf",
                               "oneOf",
                               "allOf",
                               "properties",
                               "required",
                               "additionalProperties",
                               "items",
                               "prefixItems",
                               "minItems",
                               "maxItems",
                               "minLength",
                               "maxLength",
                               "pattern",
                               "format",
                               "minimum",
                               "maximum",
                               "exclusiveMinimum",
                               "exclusiveMaximum"};

constexpr std::array kKnownFormats{"date", "time", "date-time", "uuid", "email", "ipv4"};

constexpr std::array kTypes{"object", "array", "string", "number", "integer", "boolean", "null"};

template <typename List>
bool is_listed(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool has_type(const json::value& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_bool();
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  return value.is_int64() || value.is_uint64() ||
         (value.is_double() && std::floor(value.get_double()) == value.get_double());
}

// A member of a path: "/properties/a~1b".
std::string child_path(const std::string& path, std::string_view key) {
  std::string child = path + "/";
  for (const char c : key) {
    if (c == '~') {
      child += "~0";
    } else if (c == '/') {
      child += "~1";
    } else {
      child += c;
    }
  }
  return child;
}

class SchemaReader {
 public:
  SchemaReader(const json::value& document, const SchemaOptions& options) : document_(document), options_(options) {}

  Schema read() {
    schema_.root = node(document_, "", 0);
    return std::move(schema_);
  }

 private:
  [[noreturn]] void fail(ErrorKind kind, const std::string& path, const std::string& what) const {
    throw Error(kind, str(options_.where, path.empty() ? "" : " at ", printable(path, 200), ": ", what));
  }
  [[noreturn]] void bad(const std::string& path, const std::string& what) const {
    fail(ErrorKind::kBadInput, path, what);
  }
  [[noreturn]] void unsupported(const std::string& path, const std::string& what) const {
    fail(ErrorKind::kUnsupported, path, what);
  }

  SchemaId add(SchemaNode value) {
    if (schema_.nodes.size() >= kMaxNodes) bad("", str("describes more than ", kMaxNodes, " values"));
    schema_.nodes.push_back(std::move(value));
    return schema_.nodes.size() - 1;
  }

  SchemaId node(const json::value& value, const std::string& path, std::size_t depth) {
    if (depth > options_.max_depth) bad(path, str("nests more than ", options_.max_depth, " deep"));
    if (value.is_bool()) return value.get_bool() ? add(AnyValue{}) : add(NoValue{});
    if (!value.is_object()) bad(path, str("is ", json::to_string(value.kind()), ", expected an object or a boolean"));
    return object_node(value.get_object(), path, depth);
  }

  SchemaId object_node(const json::object& object, const std::string& path, std::size_t depth) {
    if (depth > options_.max_depth) bad(path, str("nests more than ", options_.max_depth, " deep"));
    // Alternatives within alternatives multiply: counted before they are followed.
    if (++visits_ > kMaxNodes) bad("", str("describes more than ", kMaxNodes, " values"));
    check_keywords(object, path);
    if (const json::value* reference = object.if_contains("$ref")) {
      json::object rest = assertions(object);
      rest.erase("$ref");
      if (rest.empty()) return referenced(*reference, path, depth);
      return object_node(conjunction(rest, resolve_object(*reference, path), path), path, depth + 1);
    }
    if (const json::value* all = object.if_contains("allOf")) {
      json::object merged = assertions(object);
      merged.erase("allOf");
      for (const json::value& part : branches(*all, path, "allOf")) {
        if (part.is_bool() && part.get_bool()) continue;
        if (!part.is_object()) return add(NoValue{});
        merged = conjunction(merged, part.get_object(), path);
      }
      return object_node(merged, path, depth + 1);
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (object.contains(keyword)) return alternatives(object, keyword, path, depth);
    }
    if (const json::value* value = object.if_contains("const")) return literals(object, json::array{*value}, path);
    if (const json::value* values = object.if_contains("enum")) {
      if (!values->is_array()) bad(path, "\"enum\" is not an array");
      return literals(object, values->get_array(), path);
    }
    return typed(object, path, depth);
  }

  void check_keywords(const json::object& object, const std::string& path) const {
    for (const auto& [key, value] : object) {
      const std::string_view name = key;
      if (is_listed(kKeywords, name) || is_listed(kAnnotations, name) || name.starts_with("x-")) continue;
      // These say nothing when they hold for everything.
      if (name == "uniqueItems" && value == json::value(false)) continue;
      if ((name == "unevaluatedProperties" || name == "unevaluatedItems") && value.is_bool()) continue;
      if ((name == "minProperties" || name == "minContains") && value == json::value(0)) continue;
      if (name == "patternProperties" && value.is_object() && value.get_object().empty()) continue;
      if (options_.is_strict) {
        unsupported(path, str("the keyword \"", printable(name),
                              "\" is not supported in a schema for answers; "
                              "docs/structured-output.md lists those that are"));
      }
    }
  }

  // The members that say which values are valid.
  static json::object assertions(const json::object& object) {
    json::object result;
    for (const auto& [key, value] : object) {
      if (is_listed(kKeywords, std::string_view(key))) result[key] = value;
    }
    return result;
  }

  const json::array& branches(const json::value& value, const std::string& path, std::string_view keyword) const {
    if (!value.is_array() || value.get_array().empty()) bad(path, str("\"", keyword, "\" is not a list of schemas"));
    return value.get_array();
  }

  // A schema that holds where both hold. Keywords that both have need to be the same, or of a kind that can be joined.
  json::object conjunction(const json::object& a, const json::object& b, const std::string& path) {
    if (++merges_ > kMaxMerges) bad("", str("has more than ", kMaxMerges, " schemas beside each other"));
    json::object result = assertions(a);
    for (const auto& [key, value] : assertions(b)) {
      json::value* mine = result.if_contains(key);
      const std::string_view name = key;
      if (mine == nullptr) {
        result[key] = value;
      } else if (*mine == value) {
        continue;
      } else if (name == "properties" && mine->is_object() && value.is_object()) {
        for (const auto& [property, schema] : value.get_object()) {
          json::value& slot = mine->get_object()[property];
          slot = slot.is_null() ? schema : json::object{{"allOf", json::array{slot, schema}}};
        }
      } else if (name == "required" && mine->is_array() && value.is_array()) {
        for (const json::value& property : value.get_array()) mine->get_array().push_back(property);
      } else if (name == "type" || name == "enum" || name == "const") {
        *mine = common(*mine, value);
        if (mine->is_array() && mine->get_array().empty()) result["enum"] = json::array{};
      } else if (name == "minLength" || name == "minItems" || name == "minimum" || name == "exclusiveMinimum") {
        *mine = number(*mine, path, name) > number(value, path, name) ? *mine : value;
      } else if (name == "maxLength" || name == "maxItems" || name == "maximum" || name == "exclusiveMaximum") {
        *mine = number(*mine, path, name) < number(value, path, name) ? *mine : value;
      } else {
        unsupported(path, str("\"", name, "\" stands in two schemas that both have to hold, with different values"));
      }
    }
    // Each part's additionalProperties is about its own properties; joined, that can't be said any more.
    for (const json::object* part : {&a, &b}) {
      if (part->contains("additionalProperties") && part->at("additionalProperties") == json::value(false) &&
          result.contains("properties")) {
        const json::value* own = part->if_contains("properties");
        for (const auto& [property, schema] : result.at("properties").as_object()) {
          if (own != nullptr && own->is_object() && own->get_object().contains(property)) continue;
          unsupported(path, str("\"additionalProperties\": false beside a schema that has the property \"",
                                printable(property), "\""));
        }
      }
    }
    return result;
  }

  // What two values of "type", "enum" or "const" have in common, as a list.
  static json::value common(const json::value& a, const json::value& b) {
    const auto list = [](const json::value& value) {
      return value.is_array() ? value.get_array() : json::array{value};
    };
    json::array result;
    for (const json::value& value : list(a)) {
      for (const json::value& other : list(b)) {
        if (value == other) {
          result.push_back(value);
        } else if ((value == "integer" && other == "number") || (value == "number" && other == "integer")) {
          result.push_back("integer");
        }
      }
    }
    return result;
  }

  // --- References
  // -----------------------------------------------------------------------------------------------------

  SchemaId referenced(const json::value& reference, const std::string& path, std::size_t depth) {
    const json::value& target = resolve(reference, path);
    const std::string key(reference.get_string());
    if (const auto known = references_.find(key); known != references_.end()) return known->second;
    // A node of its own, known before its schema is read: it may refer to itself.
    const SchemaId id = add(UnionValue{});
    references_[key] = id;
    const SchemaId meant = node(target, key.substr(1), depth + 1);
    schema_.nodes[id] = UnionValue{{meant}};
    return id;
  }

  const json::value& resolve(const json::value& reference, const std::string& path) const {
    if (!reference.is_string()) bad(path, "\"$ref\" is not a string");
    const std::string_view text = reference.get_string();
    if (text != "#" && !text.starts_with("#/")) {
      unsupported(path, str("\"$ref\": \"", printable(text),
                            "\" points out of the schema; only \"#\" and \"#/...\" are "
                            "followed"));
    }
    json::error_code code;
    // Not decoded: percent signs in a pointer have no use in schemas as they are written.
    const json::value* target = text == "#" ? &document_ : document_.find_pointer(text.substr(1), code);
    if (target == nullptr) bad(path, str("\"$ref\": \"", printable(text), "\" points to nothing"));
    return *target;
  }

  // The object that a chain of references ends at.
  json::object resolve_object(const json::value& reference, const std::string& path) const {
    const json::value& target = resolve(reference, path);
    if (!target.is_object()) unsupported(path, "\"$ref\" to true or false beside other keywords");
    return target.get_object();
  }

  // --- Alternatives
  // ---------------------------------------------------------------------------------------------------

  SchemaId alternatives(const json::object& object, const char* keyword, const std::string& path, std::size_t depth) {
    const json::array& parts = branches(object.at(keyword), path, keyword);
    json::object rest = assertions(object);
    rest.erase(keyword);
    if (std::string_view(keyword) == "oneOf") check_disjoint(parts, path);
    UnionValue result;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string part_path = child_path(child_path(path, keyword), std::to_string(i));
      if (rest.empty() || parts[i].is_bool()) {
        if (parts[i] == json::value(true) && !rest.empty()) {
          result.alternatives.push_back(object_node(rest, part_path, depth + 1));
        } else {
          result.alternatives.push_back(node(parts[i], part_path, depth + 1));
        }
        continue;
      }
      if (!parts[i].is_object()) bad(part_path, "is neither an object nor a boolean");
      check_keywords(parts[i].get_object(), part_path);
      result.alternatives.push_back(
          object_node(conjunction(rest, parts[i].get_object(), part_path), part_path, depth + 1));
    }
    return add(std::move(result));
  }

  // "oneOf" is "anyOf" where no value can be of two alternatives. That is seen from their types, or from a property
  // that tells them apart: required in both, with values of "const" or "enum" that differ.
  void check_disjoint(const json::array& parts, const std::string& path) const {
    if (!options_.is_strict) return;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (std::size_t j = i + 1; j < parts.size(); ++j) {
        if (!are_disjoint(parts[i], parts[j], path, 0)) {
          unsupported(path, str("\"oneOf\" whose alternatives ", i, " and ", j,
                                " can't be told apart by their type, nor by "
                                "a required property with a \"const\" or \"enum\" of its own; use \"anyOf\""));
        }
      }
    }
  }

  bool are_disjoint(const json::value& a, const json::value& b, const std::string& path, std::size_t depth) const {
    if (depth > options_.max_depth) return false;
    if (!a.is_object() || !b.is_object()) return a == json::value(false) || b == json::value(false);
    const json::object& left = a.get_object();
    const json::object& right = b.get_object();
    if (const json::value* reference = left.if_contains("$ref")) {
      return are_disjoint(resolve(*reference, path), b, path, depth + 1);
    }
    if (right.contains("$ref")) return are_disjoint(b, a, path, depth + 1);
    const auto values = [](const json::object& object) -> std::optional<json::array> {
      if (const json::value* one = object.if_contains("const")) return json::array{*one};
      const json::value* some = object.if_contains("enum");
      if (some != nullptr && some->is_array()) return some->get_array();
      return std::nullopt;
    };
    const auto left_values = values(left);
    const auto right_values = values(right);
    if (left_values && right_values) {
      return std::none_of(left_values->begin(), left_values->end(), [&](const json::value& value) {
        return std::find(right_values->begin(), right_values->end(), value) != right_values->end();
      });
    }
    const json::value* left_type = left.if_contains("type");
    const json::value* right_type = right.if_contains("type");
    if (left_type != nullptr && right_type != nullptr) {
      const json::value both = common(*left_type, *right_type);
      if (both.get_array().empty()) return true;
    }
    if (left_values && right_type != nullptr && right_type->is_string()) {
      return std::none_of(left_values->begin(), left_values->end(),
                          [&](const json::value& value) { return has_type(value, right_type->get_string()); });
    }
    if (right_values && left_type != nullptr) return are_disjoint(b, a, path, depth + 1);
    return have_telling_property(left, right, path, depth);
  }

  bool have_telling_property(const json::object& a, const json::object& b, const std::string& path,
                             std::size_t depth) const {
    const auto properties = [](const json::object& object) -> const json::object* {
      const json::value* value = object.if_contains("properties");
      return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
    };
    const auto is_required = [](const json::object& object, std::string_view name) {
      const json::value* list = object.if_contains("required");
      return list != nullptr && list->is_array() &&
             std::find(list->get_array().begin(), list->get_array().end(), json::value(name)) !=
                 list->get_array().end();
    };
    const json::object* left = properties(a);
    const json::object* right = properties(b);
    if (left == nullptr || right == nullptr) return false;
    return std::any_of(left->begin(), left->end(), [&](const auto& property) {
      const json::value* other = right->if_contains(property.key());
      return other != nullptr && is_required(a, property.key()) && is_required(b, property.key()) &&
             are_disjoint(property.value(), *other, path, depth + 1);
    });
  }

  // --- Values of a type
  // -----------------------------------------------------------------------------------------------

  SchemaId literals(const json::object& object, const json::array& values, const std::string& path) {
    for (const auto& [key, value] : assertions(object)) {
      const std::string_view name = key;
      if (name != "enum" && name != "const" && name != "type" && options_.is_strict) {
        unsupported(path, str("\"", name, "\" beside \"enum\" or \"const\""));
      }
    }
    const json::value* type = object.if_contains("type");
    const json::value* listed = object.if_contains("enum");
    LiteralValue result;
    for (const json::value& value : values) {
      const bool fits_type = type == nullptr || (type->is_string() && has_type(value, type->get_string())) ||
                             (type->is_array() && std::any_of(type->get_array().begin(), type->get_array().end(),
                                                              [&](const json::value& t) {
                                                                return t.is_string() && has_type(value, t.get_string());
                                                              }));
      const bool fits_enum =
          listed == nullptr || (listed->is_array() && std::find(listed->get_array().begin(), listed->get_array().end(),
                                                                value) != listed->get_array().end());
      if (fits_type && fits_enum) result.values.push_back(value);
    }
    if (result.values.empty()) return add(NoValue{});
    return add(std::move(result));
  }

  SchemaId typed(const json::object& object, const std::string& path, std::size_t depth) {
    const json::value* type = object.if_contains("type");
    if (type == nullptr) {
      const auto has = [&](std::initializer_list<const char*> keys) {
        return std::any_of(keys.begin(), keys.end(), [&](const char* key) { return object.contains(key); });
      };
      // Values of other types would be valid too; what the keywords are about is what is meant.
      if (has({"properties", "required", "additionalProperties"})) return object_value(object, path, depth);
      if (has({"items", "prefixItems", "minItems", "maxItems"})) return array_value(object, path, depth);
      if (has({"minLength", "maxLength", "pattern", "format"})) return string_value(object, path);
      if (has({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})) return number_value(object, false, path);
      return add(AnyValue{});
    }
    if (type->is_string()) return value_of_type(object, type->get_string(), path, depth);
    if (!type->is_array() || type->get_array().empty()) bad(path, "\"type\" is neither a name nor a list of names");
    UnionValue result;
    for (const json::value& name : type->get_array()) {
      if (!name.is_string()) bad(path, "\"type\" lists something that is no name");
      result.alternatives.push_back(value_of_type(object, name.get_string(), path, depth));
    }
    return add(std::move(result));
  }

  SchemaId value_of_type(const json::object& object, std::string_view type, const std::string& path,
                         std::size_t depth) {
    if (type == "object") return object_value(object, path, depth);
    if (type == "array") return array_value(object, path, depth);
    if (type == "string") return string_value(object, path);
    if (type == "number") return number_value(object, false, path);
    if (type == "integer") return number_value(object, true, path);
    if (type == "boolean") return add(BooleanValue{});
    if (type == "null") return add(NullValue{});
    std::string names;
    for (const char* name : kTypes) names += str(names.empty() ? "" : ", ", name);
    bad(path, str("\"type\" is \"", printable(type), "\", expected one of ", names));
  }

  double number(const json::value& value, const std::string& path, std::string_view key) const {
    if (!value.is_number()) bad(path, str("\"", key, "\" is not a number"));
    const double number = value.to_number<double>();
    if (!std::isfinite(number) || std::abs(number) > 1e15) {
      unsupported(path, str("\"", key, "\" is beyond 10^15"));
    }
    return number;
  }

  std::optional<std::size_t> count(const json::object& object, std::string_view key, const std::string& path) const {
    const json::value* value = object.if_contains(key);
    if (value == nullptr) return std::nullopt;
    const double size = number(*value, path, key);
    if (size < 0 || size != std::floor(size)) bad(path, str("\"", key, "\" is not a whole number from 0 on"));
    const bool is_most = key.starts_with("max");
    if (is_most && size > static_cast<double>(kMaxMost)) return std::nullopt;  // no answer gets that long
    if (!is_most && size > static_cast<double>(kMaxLeast))
      unsupported(path, str("\"", key, "\" is more than ", kMaxLeast));
    return static_cast<std::size_t>(size);
  }

  SchemaId number_value(const json::object& object, bool is_integer, const std::string& path) {
    NumberValue result{.is_integer = is_integer, .min = {}, .max = {}};
    const auto bound = [&](const char* key, bool is_exclusive, bool is_lower, std::optional<NumberValue::Bound>& slot) {
      const json::value* value = object.if_contains(key);
      if (value == nullptr) return;
      const double limit = number(*value, path, key);
      const bool is_tighter =
          !slot || (is_lower ? limit > slot->value : limit < slot->value) || (limit == slot->value && is_exclusive);
      if (is_tighter) slot = NumberValue::Bound{limit, is_exclusive};
    };
    bound("minimum", false, true, result.min);
    bound("exclusiveMinimum", true, true, result.min);
    bound("maximum", false, false, result.max);
    bound("exclusiveMaximum", true, false, result.max);
    return add(result);
  }

  SchemaId string_value(const json::object& object, const std::string& path) {
    StringValue result;
    result.min_length = count(object, "minLength", path).value_or(0);
    result.max_length = count(object, "maxLength", path);
    if (result.max_length && *result.max_length < result.min_length) return add(NoValue{});
    const bool has_length = result.min_length > 0 || result.max_length;
    if (const json::value* pattern = object.if_contains("pattern")) {
      if (!pattern->is_string()) bad(path, "\"pattern\" is not a string");
      result.pattern = pattern->get_string();
      if (has_length && options_.is_strict) unsupported(path, "\"pattern\" beside \"minLength\" or \"maxLength\"");
    }
    if (const json::value* format = object.if_contains("format"); format != nullptr && format->is_string()) {
      if (is_known_format(format->get_string())) result.format = format->get_string();
      // A format is a remark, as the specification has it: the other two go before it.
      if (has_length || !result.pattern.empty()) result.format.clear();
    }
    return add(std::move(result));
  }

  SchemaId array_value(const json::object& object, const std::string& path, std::size_t depth) {
    ArrayValue result;
    result.min_items = count(object, "minItems", path).value_or(0);
    result.max_items = count(object, "maxItems", path);
    if (const json::value* prefix = object.if_contains("prefixItems")) {
      if (!prefix->is_array()) bad(path, "\"prefixItems\" is not a list of schemas");
      const std::string list_path = child_path(path, "prefixItems");
      for (std::size_t i = 0; i < prefix->get_array().size(); ++i) {
        result.prefix.push_back(node(prefix->get_array()[i], child_path(list_path, std::to_string(i)), depth + 1));
      }
    }
    const json::value* items = object.if_contains("items");
    if (items != nullptr && items->is_array()) {
      unsupported(path, "\"items\" that is a list (of drafts before 2020-12); use \"prefixItems\"");
    }
    if (items == nullptr) {
      // More elements would be valid; behind a prefix hardly anyone means them.
      if (result.prefix.empty() || result.min_items > result.prefix.size()) result.items = add(AnyValue{});
    } else if (*items != json::value(false)) {
      result.items = node(*items, child_path(path, "items"), depth + 1);
    }
    if (!result.items && (!result.max_items || *result.max_items > result.prefix.size())) {
      result.max_items = result.prefix.size();
    }
    if (result.max_items && *result.max_items < result.min_items) return add(NoValue{});
    return add(std::move(result));
  }

  SchemaId object_value(const json::object& object, const std::string& path, std::size_t depth) {
    ObjectValue result;
    std::set<std::string, std::less<>> required;
    if (const json::value* names = object.if_contains("required")) {
      if (!names->is_array()) bad(path, "\"required\" is not a list of names");
      for (const json::value& name : names->get_array()) {
        if (!name.is_string()) bad(path, "\"required\" lists something that is no name");
        required.emplace(name.get_string());
      }
    }
    const json::value* additional = object.if_contains("additionalProperties");
    if (const json::value* properties = object.if_contains("properties")) {
      if (!properties->is_object()) bad(path, "\"properties\" is not an object");
      const std::string list_path = child_path(path, "properties");
      for (const auto& [name, schema] : properties->get_object()) {
        result.properties.push_back({std::string(name), node(schema, child_path(list_path, name), depth + 1),
                                     required.erase(std::string(name)) > 0});
      }
    }
    const bool is_free = object.if_contains("properties") == nullptr && additional == nullptr;
    if (is_free) {
      result.additional = add(AnyValue{});
    } else if (additional != nullptr && *additional != json::value(false)) {
      result.additional = node(*additional, child_path(path, "additionalProperties"), depth + 1);
    }
    // Required, but not described: of the schema for all others.
    for (const std::string& name : required) {
      if (additional != nullptr && !result.additional) return add(NoValue{});
      result.properties.push_back({name, result.additional ? *result.additional : add(AnyValue{}), true});
    }
    return add(std::move(result));
  }

  const json::value& document_;
  const SchemaOptions& options_;
  Schema schema_;
  std::map<std::string, SchemaId, std::less<>> references_;
  std::size_t visits_ = 0;
  std::size_t merges_ = 0;
};

}  // namespace

Schema read_schema(const json::value& document, const SchemaOptions& options) {
  return SchemaReader(document, options).read();
}

bool is_known_format(std::string_view name) {
  return is_listed(kKnownFormats, name);
}

}  // namespace carat
