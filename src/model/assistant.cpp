#include "model/assistant.h"

#include <system_error>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "checkpoint/safetensors.h"
#include "model/load_decoder.h"

namespace carat {
namespace {

// The last layer of the target of that kind that makes keys and values; null where there is none.
const LayerConfig* last_source(const DecoderConfig& target, bool is_sliding) {
  for (auto layer = target.layers.rbegin(); layer != target.layers.rend(); ++layer) {
    if (layer->is_sliding == is_sliding && layer->owns_kv()) return &*layer;
  }
  return nullptr;
}

// Sets whose keys each layer of the drafter reads. Throws Error(kBadInput) where the two don't fit.
void bind_to_target(const std::filesystem::path& path, const DecoderConfig& target, DrafterConfig& drafter) {
  const auto require = [&](std::string_view what, std::size_t found, std::size_t expected) {
    if (found == expected) return;
    throw Error(ErrorKind::kBadInput,
                str(path.string(), ": this assistant drafts for a model with ", what, " ", found,
                    ", the model at hand has ", expected, ". Use the assistant that was published with the model."));
  };
  require("hidden size", drafter.target_hidden, target.hidden);
  require("vocabulary", drafter.decoder.vocab, target.vocab);
  for (LayerConfig& layer : drafter.decoder.layers) {
    const LayerConfig* source = last_source(target, layer.is_sliding);
    if (source == nullptr) {
      throw Error(ErrorKind::kBadInput,
                  str(path.string(), ": layer ", layer.index, " of the assistant reads the keys of a ",
                      layer.is_sliding ? "sliding" : "global", " layer, and the model at hand has none."));
    }
    const std::string kind = layer.is_sliding ? "sliding" : "global";
    require(kind + " head_dim", layer.head_dim, source->head_dim);
    require(kind + " key/value heads", layer.kv_heads, source->kv_heads);
    if (layer.is_sliding) require("window", drafter.decoder.window, target.window);
    layer.kv_source = source->index;
  }
}

}  // namespace

std::shared_ptr<const Assistant> Assistant::load(const std::filesystem::path& path, const Model& target) {
  const std::shared_ptr<Assistant> assistant(new Assistant());
  std::error_code ignored;
  CheckpointStyle style;
  if (std::filesystem::is_directory(path, ignored)) {
    assistant->config_ = drafter_config_from_hugging_face(path / "config.json");
    assistant->checkpoint_ = std::make_unique<Safetensors>(path);
    style.names = NameStyle::kHuggingFace;
    style.prefix = "model.";
  } else {
    auto gguf = std::make_unique<Gguf>(path);
    assistant->config_ = drafter_config_from_gguf(*gguf);
    assistant->checkpoint_ = std::move(gguf);
  }
  bind_to_target(path, target.config().decoder, assistant->config_);
  assistant->weights_ = load_drafter(*assistant->checkpoint_, style, assistant->config_);
  return assistant;
}

}  // namespace carat
