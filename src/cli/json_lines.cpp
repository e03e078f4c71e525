#include "cli/json_lines.h"

#include <fstream>
#include <iostream>
#include <limits>
#include <utility>

#include "cli/terminal.h"

namespace carat {

namespace {

// One line for every reader: some split lines at U+0085, U+2028 and U+2029 too, which JSON allows in strings.
std::string one_line(const json::value& value) {
  std::string text = json::serialize(value);
  for (const auto& [character, escape] : {std::pair<std::string_view, std::string_view>{"\u0085", "\\u0085"},
                                          {"\u2028", "\\u2028"},
                                          {"\u2029", "\\u2029"}}) {
    for (std::size_t at = text.find(character); at != std::string::npos; at = text.find(character, at)) {
      text.replace(at, character.size(), escape);
    }
  }
  return text;
}

}  // namespace

void for_each_json_line(const std::string& file,
                        const std::function<json::value(const json::object&, const std::string& where)>& answer) {
  std::ifstream opened;
  if (file != "-") {
    opened.open(file, std::ios::binary);
    if (!opened) {
      throw Error(ErrorKind::kBadInput, str(printable(file), ": can't be opened. Check the name and its permissions."));
    }
  }
  std::istream& in = file == "-" ? std::cin : opened;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = str(file == "-" ? "stdin" : printable(file), ":", number);
    const json::value parsed = parse_json(line, where, ErrorKind::kBadInput);
    const json::object* object = parsed.if_object();
    if (object == nullptr) throw Error(ErrorKind::kBadInput, where + ": is not a JSON object.");
    write_stdout(one_line(answer(*object, where)) + "\n");
  }
}

std::vector<std::int32_t> ids_from_json(const json::value& value, std::string_view where) {
  const json::array* array = value.if_array();
  if (array == nullptr) throw Error(ErrorKind::kBadInput, str(where, ": expected an array of token ids."));
  std::vector<std::int32_t> ids;
  ids.reserve(array->size());
  for (const json::value& item : *array) {
    const std::int64_t* id = item.if_int64();
    if (id == nullptr || *id < 0 || *id > std::numeric_limits<std::int32_t>::max()) {
      throw Error(ErrorKind::kBadInput, str(where, ": \"", printable(json::serialize(item)), "\" is no token id."));
    }
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

}  // namespace carat
