// Selection: which of a repository's files make up the model that was asked for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

struct Selection {
  std::string model;                 // a GGUF file's name; empty: the folder of config.json and safetensors
  std::string projector{};           // its mmproj; empty where there is none
  std::vector<std::string> files{};  // all that is needed, the model's own last
};

// names: all of the repository's files. selector: a file's name, a quantisation ("Q8_0"), or nothing: then the only
// GGUF file, or its q4_0 or q4_k_m; or the folder where there is no GGUF file. `where` begins messages. Throws
// Error(kNotFound) naming what there is.
Selection select_files(const std::vector<std::string>& names, std::string_view selector, std::string_view where);

}  // namespace carat
