// ModelInfo: what is told of a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace carat {

class Model;

struct ModelInfo {
  std::string name;
  std::string architecture;  // "gemma4"
  std::string license;       // as the file says; may be empty
  std::size_t context = 0;   // tokens a sequence may reach here; 0 where no engine runs the model
  std::size_t trained_context = 0;
  std::size_t vocab = 0;
  std::size_t embedding_size = 0;
  std::uint64_t parameters = 0;   // towers included
  std::string weight_type;        // of most of its bytes: "q4_0"
  bool has_template = false;      // false: a base model; conversations are refused
  std::string template_revision;  // as chat/chat_template.h names them
  std::string chat_template;
  bool sees_images = false;
  bool hears_audio = false;
  bool takes_any_media = false;  // a script's wish: whatever bytes there are pass for a picture or a sound
};

// By its files alone.
ModelInfo info_of(const Model& model);

}  // namespace carat
