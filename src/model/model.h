// Model: weights, tokenizer and template of one model, immutable after loading and shared by everything above it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "decoder/weights.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace carat {

class Model {
 public:
  // path: a GGUF file, or a Hugging Face folder (config.json + safetensors, tokenizer.json if it has one). Reads
  // headers, checks every tensor's presence, type and shape, and maps the weights: nothing large is read or copied.
  // Throws Error: kNotFound, kBadFile, kUnsupported.
  static std::shared_ptr<const Model> load(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return checkpoint_->path(); }
  const ModelConfig& config() const { return config_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  const DecoderWeights& weights() const { return weights_; }

  // Null where the files hold none (a folder without tokenizer.json).
  const Tokenizer* tokenizer() const { return tokenizer_.get(); }
  // The same, or Error(kBadFile) that says what is missing.
  const Tokenizer& require_tokenizer() const;
  // The Jinja template that travels with the model; empty where it has none.
  std::string_view chat_template() const { return chat_template_; }

 private:
  Model() = default;

  std::unique_ptr<const Checkpoint> checkpoint_;  // owns the mapping that weights_ point into
  ModelConfig config_;
  DecoderWeights weights_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  std::string chat_template_;
};

}  // namespace carat
