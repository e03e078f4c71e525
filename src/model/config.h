// ModelConfig: what a model file says of itself, the same whether it came from GGUF metadata or from config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/gguf.h"
#include "decoder/config.h"

namespace carat {

// Ids that stand for media in a prompt; Gemma 4 only.
struct PlaceholderIds {
  std::int32_t image = -1;
  std::int32_t audio = -1;
  std::int32_t video = -1;
};

struct ModelConfig {
  std::string architecture;  // "gemma4", "gemma3"
  std::string name;          // as the file calls itself; may be empty
  DecoderConfig decoder;
  PlaceholderIds placeholders;
  bool has_vision = false;  // the file describes a vision tower,
  bool has_audio = false;   // an audio tower
};

// Both throw Error(kBadFile) naming file, key, expected and found, and Error(kUnsupported) for another architecture.
// Every number is held against limits, so that products of any two sizes fit and no division is by zero.
ModelConfig config_from_gguf(const Gguf& gguf);
ModelConfig config_from_hugging_face(const std::filesystem::path& config_json);

}  // namespace carat
