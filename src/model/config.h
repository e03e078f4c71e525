// ModelConfig: what a model file says of itself, the same whether it came from GGUF metadata or from config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/gguf.h"
#include "decoder/config.h"
#include "nn/soft_tokens.h"

namespace carat {

// Ids that stand for media in a prompt; -1 where the model has none. The first three are placeholders, one for each
// soft token (a frame of a video stands between the marks of an image); the others go around them.
struct MediaTokenIds {
  std::int32_t image = -1;
  std::int32_t audio = -1;
  std::int32_t video = -1;
  std::int32_t image_begin = -1;
  std::int32_t image_end = -1;
  std::int32_t audio_begin = -1;
  std::int32_t audio_end = -1;

  // What an id holds a place for.
  std::optional<MediaKind> kind_of(std::int32_t id) const;
};

struct ModelConfig {
  std::string architecture;  // "gemma4", "gemma3"
  std::string name;          // as the file calls itself; may be empty
  DecoderConfig decoder;
  MediaTokenIds media_tokens;  // of a Hugging Face folder; Model::media_tokens() knows those of a GGUF too
  bool has_vision = false;     // the file describes a vision tower,
  bool has_audio = false;      // an audio tower
};

// Both throw Error(kBadFile) naming file, key, expected and found, and Error(kUnsupported) for another architecture.
// Every number is held against limits, so that products of any two sizes fit and no division is by zero.
ModelConfig config_from_gguf(const Gguf& gguf);
ModelConfig config_from_hugging_face(const std::filesystem::path& config_json);

// The same for assistants (drafters); Error(kBadInput) for a model that is none, as for one made for another model.
// Which layers of the target they read is left open: reads_target is set, kv_source is 0 (model/assistant.h decides).
DrafterConfig drafter_config_from_gguf(const Gguf& gguf);
DrafterConfig drafter_config_from_hugging_face(const std::filesystem::path& config_json);

}  // namespace carat
