// JSON from outside, read by Boost.JSON behind limits, and small helpers to ask a document for what is expected.
#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace carat {

namespace json = boost::json;

struct JsonLimits {
  std::size_t max_depth = 64;
  std::size_t max_bytes = std::size_t{64} << 20;
};

// Parses text. `where` begins the message of an error: a file's name or "request body".
// Throws Error(kind): not valid JSON, not UTF-8, deeper or longer than the limits.
json::value parse_json(std::string_view text, std::string_view where, ErrorKind kind, JsonLimits limits = {});

// Reads and parses a file. Throws Error(kNotFound or kBadFile).
json::value parse_json_file(const std::filesystem::path& path, JsonLimits limits = {});

// An object's member, or null when it is absent or JSON null.
const json::value* find_member(const json::object& object, std::string_view key);

// Members of a given type. nullopt when absent or JSON null; Error(kBadFile), naming where and key, when the type is
// another. `where` begins the message.
std::optional<std::int64_t> find_integer(const json::object& object, std::string_view key, std::string_view where);
std::optional<double> find_number(const json::object& object, std::string_view key, std::string_view where);
std::optional<bool> find_boolean(const json::object& object, std::string_view key, std::string_view where);
std::optional<std::string_view> find_string(const json::object& object, std::string_view key, std::string_view where);
const json::object* find_object(const json::object& object, std::string_view key, std::string_view where);
const json::array* find_array(const json::object& object, std::string_view key, std::string_view where);

}  // namespace carat
