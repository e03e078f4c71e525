// The keys of a GGUF file that say what a model is, from the config.json of a Hugging Face folder.
#pragma once

#include "base/json.h"
#include "checkpoint/gguf_writer.h"
#include "model/config.h"

namespace carat {

// general.*, and gemma4.*, gemma4-assistant.* or gemma3.*, as llama.cpp's conversion writes them. document:
// config.json; config: what carat read from it. Throws Error(kUnsupported) where GGUF has no way to say what the
// configuration says.
void add_model_keys(GgufWriter& writer, const json::object& document, const ModelConfig& config,
                    std::string_view where);

// What an assistant's file says beyond that: the width of its target, and how many centroids it looks at.
void add_assistant_keys(GgufWriter& writer, const DrafterConfig& config);

// clip.* of the towers that the configuration describes.
void add_tower_keys(GgufWriter& writer, const json::object& document, const ModelConfig& config,
                    std::string_view where);

}  // namespace carat
