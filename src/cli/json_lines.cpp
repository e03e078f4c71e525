#include "cli/json_lines.h"

#include <fstream>
#include <iostream>
#include <limits>
#include <utility>

#include "cli/terminal.h"

namespace carat {

namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

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

std::string base64_encode(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;  // up to three bytes, the first one on top
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j) out += j <= count ? kBase64[group >> (18 - 6 * j) & 63U] : '=';
  }
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::string_view quad = text.substr(i, 4);
    const bool is_last = i + 4 == text.size();
    const std::size_t padding = !is_last ? 0 : quad.ends_with("==") ? 2 : quad.ends_with('=') ? 1 : 0;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::size_t digit = j < 4 - padding ? kBase64.find(quad[j]) : 0;
      if (digit == std::string_view::npos) return std::nullopt;
      group = group << 6 | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t j = 0; j < 3 - padding; ++j) out += static_cast<char>(group >> (16 - 8 * j) & 0xffU);
  }
  return out;
}

}  // namespace carat
