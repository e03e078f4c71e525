// JSON Lines in, JSON Lines out: how `carat debug` is driven.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"

namespace carat {

// Calls answer(object, where) for each line of the file ("-": stdin) that isn't blank and prints what it returns as a
// line. where: "file:12", to begin error messages with. Throws Error(kBadInput) for a line that is no JSON object.
void for_each_json_line(const std::string& file,
                        const std::function<json::value(const json::object&, const std::string& where)>& answer);

// A member of a line that may be left out, by one of the find_ functions of base/json.h; a wrong type is the caller's
// error here, not a file's.
template <typename Find>
auto input_member(const Find& find, const json::object& line, std::string_view key, std::string_view where) {
  try {
    return find(line, key, where);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadInput, error.what());
  }
}

// An array of token ids. Throws Error(kBadInput) for anything else.
std::vector<std::int32_t> ids_from_json(const json::value& value, std::string_view where);

}  // namespace carat
