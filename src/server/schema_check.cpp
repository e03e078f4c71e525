#include "server/schema_check.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace carat {
namespace {

using Kind = SchemaProblem::Kind;

bool is_integer(const json::value& value) {
  if (value.is_int64() || value.is_uint64()) return true;
  constexpr double kExact = 0x1p53;  // beyond, a double is more than one integer
  if (!value.is_double() || std::abs(value.get_double()) > kExact) return false;
  return std::nearbyint(value.get_double()) == value.get_double();
}

bool has_type(const json::value& value, std::string_view type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_bool();
  if (type == "string") return value.is_string();
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "number") return value.is_number();
  return type == "integer" && is_integer(value);
}

// Integers are compared as such: doubles can't tell 2^63 from the number before it.
bool is_less(const json::value& a, const json::value& b) {
  if (a.is_int64() && b.is_int64()) return a.get_int64() < b.get_int64();
  if (a.is_uint64() && b.is_int64()) return std::cmp_less(a.get_uint64(), b.get_int64());
  if (a.is_int64() && b.is_uint64()) return std::cmp_less(a.get_int64(), b.get_uint64());
  return a.to_number<double>() < b.to_number<double>();
}

std::string_view with_article(std::string_view type) {
  if (type == "boolean") return "true or false";
  if (type == "string") return "a string";
  if (type == "object") return "an object";
  if (type == "array") return "an array";
  if (type == "number") return "a number";
  if (type == "integer") return "an integer";
  return type;
}

// {"string", "null"} -> "a string or null".
std::string type_words(const json::value& type) {
  if (type.is_string()) return std::string(with_article(type.get_string()));
  std::string words;
  for (const json::value& one : type.get_array()) {
    words += (words.empty() ? "" : " or ") + std::string(with_article(one.get_string()));
  }
  return words;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

// The one form of pattern that the document uses: ^[set]{least,most}$, where set holds characters and ranges.
bool fits_pattern(std::string_view text, std::string_view pattern) {
  const std::size_t close = pattern.find("]{");
  if (!pattern.starts_with("^[") || close == std::string_view::npos) return true;
  const std::string_view set = pattern.substr(2, close - 2);
  std::size_t least = 0;
  std::size_t most = 0;
  const char* end = pattern.data() + pattern.size();
  const auto first = std::from_chars(pattern.data() + close + 2, end, least);
  std::from_chars(first.ptr + 1, end, most);
  const auto is_in_set = [&](char c) {
    for (std::size_t i = 0; i < set.size(); ++i) {
      if (i + 2 < set.size() && set[i + 1] == '-') {
        if (c >= set[i] && c <= set[i + 2]) return true;
        i += 2;
      } else if (c == set[i]) {
        return true;
      }
    }
    return false;
  };
  return text.size() >= least && text.size() <= most && std::ranges::all_of(text, is_in_set);
}

class Checker {
 public:
  explicit Checker(const json::value& root) : root_(root) {}

  std::optional<SchemaProblem> check(const json::value& value, const json::value& schema_value,
                                     const std::string& path) const {
    const json::object& schema = schema_value.get_object();
    if (const json::value* reference = schema.if_contains("$ref")) {
      return check(value, root_.at_pointer(std::string_view(reference->get_string()).substr(1)), path);
    }
    if (const json::value* type = schema.if_contains("type")) {
      const bool fits = type->is_string() ? has_type(value, type->get_string())
                                          : std::ranges::any_of(type->get_array(), [&](const json::value& one) {
                                              return has_type(value, one.get_string());
                                            });
      if (!fits) return SchemaProblem{Kind::kType, path, "must be " + type_words(*type)};
    }
    if (const json::value* values = schema.if_contains("enum")) {
      if (std::ranges::find(values->get_array(), value) == values->get_array().end()) {
        return SchemaProblem{Kind::kValue, path, "must be one of " + json::serialize(*values)};
      }
    }
    if (const json::value* branches = schema.if_contains("anyOf")) {
      if (auto problem = check_any(value, branches->get_array(), path)) return problem;
    }
    if (value.is_number()) return check_number(value, schema, path);
    if (value.is_string()) return check_string(value.get_string(), schema, path);
    if (value.is_array()) return check_array(value.get_array(), schema, path);
    if (value.is_object()) return check_object(value, schema, path);
    return std::nullopt;
  }

 private:
  static std::optional<SchemaProblem> check_number(const json::value& value, const json::object& schema,
                                                   const std::string& path) {
    const json::value* minimum = schema.if_contains("minimum");
    const json::value* maximum = schema.if_contains("maximum");
    if (minimum != nullptr && is_less(value, *minimum)) {
      return SchemaProblem{Kind::kValue, path, "must be at least " + json::serialize(*minimum)};
    }
    if (maximum != nullptr && is_less(*maximum, value)) {
      return SchemaProblem{Kind::kValue, path, "must be at most " + json::serialize(*maximum)};
    }
    return std::nullopt;
  }

  static std::optional<SchemaProblem> check_string(std::string_view text, const json::object& schema,
                                                   const std::string& path) {
    if (const json::value* least = schema.if_contains("minLength");
        least != nullptr && characters(text) < least->to_number<std::size_t>()) {
      return SchemaProblem{Kind::kValue, path, str("must have at least ", json::serialize(*least), " characters")};
    }
    if (const json::value* most = schema.if_contains("maxLength");
        most != nullptr && characters(text) > most->to_number<std::size_t>()) {
      return SchemaProblem{Kind::kValue, path, str("must have at most ", json::serialize(*most), " characters")};
    }
    if (const json::value* pattern = schema.if_contains("pattern");
        pattern != nullptr && !fits_pattern(text, pattern->get_string())) {
      return SchemaProblem{Kind::kValue, path, str("must match ", std::string_view(pattern->get_string()))};
    }
    return std::nullopt;
  }

  std::optional<SchemaProblem> check_array(const json::array& array, const json::object& schema,
                                           const std::string& path) const {
    if (const json::value* least = schema.if_contains("minItems");
        least != nullptr && array.size() < least->to_number<std::size_t>()) {
      return SchemaProblem{Kind::kValue, path, str("must have at least ", json::serialize(*least), " items")};
    }
    if (const json::value* most = schema.if_contains("maxItems");
        most != nullptr && array.size() > most->to_number<std::size_t>()) {
      return SchemaProblem{Kind::kValue, path, str("must have at most ", json::serialize(*most), " items")};
    }
    if (const json::value* items = schema.if_contains("items")) {
      for (std::size_t i = 0; i < array.size(); ++i) {
        if (auto problem = check(array[i], *items, str(path, "[", i, "]"))) return problem;
      }
    }
    return std::nullopt;
  }

  std::optional<SchemaProblem> check_object(const json::value& value, const json::object& schema,
                                            const std::string& path) const {
    const json::object& object = value.get_object();
    const auto below = [&](std::string_view key) { return path.empty() ? std::string(key) : str(path, ".", key); };
    if (const json::value* most = schema.if_contains("maxProperties");
        most != nullptr && object.size() > most->to_number<std::size_t>()) {
      return SchemaProblem{Kind::kValue, path, str("must have at most ", json::serialize(*most), " members")};
    }
    if (const json::value* required = schema.if_contains("required")) {
      for (const json::value& key : required->get_array()) {
        if (object.if_contains(key.get_string()) == nullptr) {
          return SchemaProblem{Kind::kMissing, below(key.get_string()), "is required"};
        }
      }
    }
    if (const json::value* properties = schema.if_contains("properties")) {
      for (const auto& [key, property] : properties->get_object()) {
        const json::value* member = object.if_contains(key);
        if (member == nullptr) continue;
        if (auto problem = check(*member, property, below(key))) return problem;
      }
    }
    if (const json::value* others = schema.if_contains("additionalProperties")) {
      for (const auto& [key, member] : object) {
        if (auto problem = check(member, *others, below(printable(key)))) return problem;
      }
    }
    if (const json::value* discriminator = schema.if_contains("discriminator")) {
      const json::object& rules = discriminator->get_object();
      const json::value& tag = object.at(rules.at("propertyName").get_string());  // checked by required and enum
      const json::value& branch = rules.at("mapping").at(tag.get_string());
      return check(value, root_.at_pointer(std::string_view(branch.get_string()).substr(1)), path);
    }
    return std::nullopt;
  }

  // Of the branches that all fail, the one that came furthest is most likely what was meant.
  std::optional<SchemaProblem> check_any(const json::value& value, const json::array& branches,
                                         const std::string& path) const {
    std::optional<SchemaProblem> deepest;
    std::string types;
    for (const json::value& branch : branches) {
      auto problem = check(value, branch, path);
      if (!problem) return std::nullopt;
      if (problem->kind == Kind::kType && problem->path == path) {
        const std::string type = problem->message.substr(std::string_view("must be ").size());
        if (types.find(type) == std::string::npos) types += (types.empty() ? "" : " or ") + type;
      } else if (!deepest || problem->path.size() > deepest->path.size()) {
        deepest = std::move(problem);
      }
    }
    if (deepest) return deepest;
    return SchemaProblem{Kind::kType, path, "must be " + types};
  }

  const json::value& root_;
};

}  // namespace

std::optional<SchemaProblem> check_schema(const json::value& value, const json::value& schema,
                                          const json::value& root) {
  return Checker(root).check(value, schema, "");
}

void drop_unchecked(json::value& value, const json::value& schema, const json::value& root) {
  if (const json::value* reference = schema.get_object().if_contains("$ref")) {
    return drop_unchecked(value, root.at_pointer(std::string_view(reference->get_string()).substr(1)), root);
  }
  const json::value* properties = schema.get_object().if_contains("properties");
  if (properties == nullptr || !value.is_object() || schema.get_object().contains("discriminator") ||
      schema.get_object().contains("additionalProperties")) {
    return;
  }
  json::object checked;
  for (auto& [key, member] : value.get_object()) {
    const json::value* property = properties->get_object().if_contains(key);
    if (property == nullptr) continue;
    drop_unchecked(member, *property, root);
    checked.emplace(key, std::move(member));
  }
  value = std::move(checked);
}

}  // namespace carat
