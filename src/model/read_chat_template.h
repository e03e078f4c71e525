// Finds the chat template in whatever a model is stored as.
#pragma once

#include <filesystem>
#include <string>

namespace carat {

// path: a GGUF file (its metadata are read), a Hugging Face folder (chat_template.jinja, or an entry of
// tokenizer_config.json), or another file of such a folder. Empty where there is none. Throws Error: kNotFound,
// kBadFile.
std::string read_chat_template(const std::filesystem::path& path);

}  // namespace carat
