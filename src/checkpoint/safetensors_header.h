// The JSON header of a safetensors file, taken apart but not yet held against the file's data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // as written: "BF16"
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // data_offsets, from the start of the data section
  std::uint64_t end = 0;
};

// The tensors of a header, in its order. `where` begins the messages. Throws Error(kBadFile): not JSON, or not
// {name: {"dtype": string, "shape": [integers], "data_offsets": [begin, end]}, "__metadata__": {string: string}}.
// Names may still stand in it twice.
std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view text, std::string_view where);

}  // namespace carat
