// The tokenizer.* keys of a GGUF file, from the tokenizer.json of a Hugging Face folder.
#pragma once

#include <filesystem>
#include <string_view>

#include "checkpoint/gguf_writer.h"

namespace carat {

// Adds tokens, types, merges and the special ids of the folder's tokenizer, and its chat template. Where it has no
// tokenizer, that and the vocabulary's size are said instead. architecture: "gemma4", "gemma4-assistant" or "gemma3".
// Throws Error(kBadFile) naming file and field.
void add_tokenizer_keys(GgufWriter& writer, const std::filesystem::path& folder, std::string_view architecture,
                        std::size_t vocab);

}  // namespace carat
