// Reads the tokenizer.json of Hugging Face's tokenizers, as published with Gemma 3 and Gemma 4.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/json.h"
#include "text/tokenizer.h"

namespace carat {

// Throws Error: kBadFile where a field is missing, of another type or contradicts another; kUnsupported where the file
// asks for steps that Gemma's tokenizers don't have. Messages begin with `where` and name the field.
Tokenizer tokenizer_from_json(const json::value& document, std::string_view where);

// Throws Error as above, and kNotFound.
Tokenizer load_tokenizer_json(const std::filesystem::path& path);

}  // namespace carat
