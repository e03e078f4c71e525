// A model's ears, from whatever files it has.
#pragma once

#include <cstddef>
#include <memory>

#include "audio/audio_encoder.h"
#include "model/tower_source.h"

namespace carat {

// Null where the source describes none. text_hidden: the decoder's width, which the projection has to meet. Reads the
// names and keys of Hugging Face folders (transformers, modeling_gemma4.py) and those that llama.cpp's converter gives
// them (gguf-py, constants.py), in a projector's file as well as in one GGUF with all of a model. Throws
// Error(kBadFile) naming file, key or tensor, expected and found; Error(kUnsupported) for ears of another kind.
std::shared_ptr<const AudioEncoder> load_audio(const TowerSource& source, std::size_t text_hidden);

}  // namespace carat
