#include "base/json.h"

#include "base/file.h"

namespace carat {
namespace {

const json::value& expect(const json::value& value, bool is_right, std::string_view key, std::string_view where,
                          std::string_view expected) {
  if (is_right) return value;
  throw Error(ErrorKind::kBadFile, str(where, ": \"", printable(key), "\" is ", json::to_string(value.kind()),
                                       ", expected ", expected, "."));
}

}  // namespace

json::value parse_json(std::string_view text, std::string_view where, ErrorKind kind, JsonLimits limits) {
  if (text.size() > limits.max_bytes) {
    throw Error(kind, str(where, ": has ", text.size(), " bytes of JSON, the limit is ", limits.max_bytes, "."));
  }
  json::parse_options options;
  options.max_depth = limits.max_depth;
  json::error_code code;
  json::stream_parser parser({}, options);
  const std::size_t used = parser.write_some(text.data(), text.size(), code);
  if (!code && used < text.size()) {
    const std::string_view rest = text.substr(used);
    if (rest.find_first_not_of(" \t\r\n") != std::string_view::npos) code = json::error::extra_data;
  }
  if (!code) parser.finish(code);
  if (code) {
    throw Error(kind, str(where, ": not valid JSON near byte ", used, ": ", code.message(),
                          code == json::error::too_deep ? str(" (limit ", limits.max_depth, ")") : "", "."));
  }
  return parser.release();
}

json::value parse_json_file(const std::filesystem::path& path, JsonLimits limits) {
  return parse_json(read_text_file(path, limits.max_bytes), path.string(), ErrorKind::kBadFile, limits);
}

const json::value* find_member(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

std::optional<std::int64_t> find_integer(const json::object& object, std::string_view key, std::string_view where) {
  const json::value* value = find_member(object, key);
  if (value == nullptr) return std::nullopt;
  json::error_code code;
  const auto number = value->to_number<std::int64_t>(code);
  expect(*value, !code, key, where, "an integer");
  return number;
}

std::optional<double> find_number(const json::object& object, std::string_view key, std::string_view where) {
  const json::value* value = find_member(object, key);
  if (value == nullptr) return std::nullopt;
  return expect(*value, value->is_number(), key, where, "a number").to_number<double>();
}

std::optional<bool> find_boolean(const json::object& object, std::string_view key, std::string_view where) {
  const json::value* value = find_member(object, key);
  if (value == nullptr) return std::nullopt;
  return expect(*value, value->is_bool(), key, where, "true or false").get_bool();
}

std::optional<std::string_view> find_string(const json::object& object, std::string_view key, std::string_view where) {
  const json::value* value = find_member(object, key);
  if (value == nullptr) return std::nullopt;
  return std::string_view(expect(*value, value->is_string(), key, where, "a string").get_string());
}

const json::object* find_object(const json::object& object, std::string_view key, std::string_view where) {
  const json::value* value = find_member(object, key);
  return value == nullptr ? nullptr : &expect(*value, value->is_object(), key, where, "an object").get_object();
}

const json::array* find_array(const json::object& object, std::string_view key, std::string_view where) {
  const json::value* value = find_member(object, key);
  return value == nullptr ? nullptr : &expect(*value, value->is_array(), key, where, "an array").get_array();
}

}  // namespace carat
