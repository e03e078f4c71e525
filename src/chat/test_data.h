// Files of tests/ for the tests of this folder.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace carat {

inline std::string read_test_file(const std::string& name) {
  return read_text_file(std::string(CARAT_TEST_DATA) + "/" + name, std::uint64_t{64} << 20);
}

// The objects of a JSONL file.
inline std::vector<json::object> read_json_lines(const std::string& name) {
  std::vector<json::object> lines;
  std::ifstream file(std::string(CARAT_TEST_DATA) + "/" + name);
  for (std::string line; std::getline(file, line);) {
    lines.push_back(parse_json(line, name, ErrorKind::kBadFile).as_object());
  }
  return lines;
}

}  // namespace carat
