// Finds the tokenizer in whatever a model is stored as.
#pragma once

#include <filesystem>

#include "text/tokenizer.h"

namespace carat {

// path: a GGUF file, a tokenizer.json, or a folder that holds a tokenizer.json. Throws Error: kNotFound, kBadFile,
// kUnsupported.
Tokenizer load_tokenizer(const std::filesystem::path& path);

}  // namespace carat
