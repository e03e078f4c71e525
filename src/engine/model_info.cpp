#include "engine/model_info.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "base/error.h"
#include "chat/chat_template.h"
#include "checkpoint/gguf.h"
#include "model/model.h"

namespace carat {
namespace {

// That of a folder stands in files for people, if at all.
std::string license_of(const Checkpoint& checkpoint) {
  const auto* gguf = dynamic_cast<const Gguf*>(&checkpoint);
  return gguf == nullptr ? "" : printable(gguf->string("general.license").value_or(""), 200);
}

void add_weights(const Model& model, ModelInfo& info) {
  std::map<std::string_view, std::uint64_t> bytes;  // by type
  for (const Checkpoint* checkpoint : {&model.checkpoint(), model.projector()}) {
    if (checkpoint == nullptr) continue;
    for (const Tensor& tensor : checkpoint->tensors()) {
      info.parameters += tensor.values();
      bytes[dtype_info(tensor.dtype).name] += tensor.bytes.size();
    }
  }
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& type) { return type.second; });
  if (most != bytes.end()) info.weight_type = most->first;
}

}  // namespace

ModelInfo info_of(const Model& model) {
  const ModelConfig& config = model.config();
  ModelInfo info;
  info.name = config.name;
  info.architecture = config.architecture;
  info.license = license_of(model.checkpoint());
  info.trained_context = config.decoder.context_length;
  info.vocab = config.decoder.vocab;
  info.embedding_size = config.decoder.hidden;
  add_weights(model, info);
  info.chat_template = model.chat_template();
  info.has_template = !info.chat_template.empty();
  info.template_revision = info.has_template ? template_revision(info.chat_template) : "";
  info.sees_images = model.vision() != nullptr;
  info.hears_audio = model.audio() != nullptr;
  return info;
}

}  // namespace carat
