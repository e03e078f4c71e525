// TowerSource: where a model's eyes or ears are loaded from.
#pragma once

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"

namespace carat {

// A Hugging Face folder, the GGUF that holds all of a model, or a projector's GGUF beside it (--mmproj). One of
// config_json and gguf is set.
struct TowerSource {
  const Checkpoint* checkpoint = nullptr;
  const json::object* config_json = nullptr;  // the whole config.json of a folder
  const Gguf* gguf = nullptr;                 // metadata; the same object as checkpoint
};

}  // namespace carat
