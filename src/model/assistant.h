// Assistant: the files of a drafter, bound to the model it drafts for.
#pragma once

#include <filesystem>
#include <memory>

#include "decoder/drafter.h"
#include "model/model.h"

namespace carat {

class Assistant {
 public:
  // path: a GGUF file (gemma4-assistant) or a Hugging Face folder (gemma4_assistant). Every layer is given the keys
  // and values of the target's last layer of its kind that makes any. Throws Error: kNotFound, kBadFile,
  // kUnsupported; kBadInput for what is no assistant, or one of another model (widths, vocabulary, heads).
  static std::shared_ptr<const Assistant> load(const std::filesystem::path& path, const Model& target);

  const DrafterConfig& config() const { return config_; }
  const DrafterWeights& weights() const { return weights_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }

 private:
  Assistant() = default;

  std::unique_ptr<const Checkpoint> checkpoint_;  // owns the mapping that weights_ point into
  DrafterConfig config_;
  DrafterWeights weights_;
};

}  // namespace carat
