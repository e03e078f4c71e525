// Model: weights, tokenizer and template of one model, immutable after loading and shared by everything above it.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "decoder/weights.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace carat {

class AudioEncoder;  // audio/audio_encoder.h
class ImageEncoder;  // vision/image_encoder.h

struct LoadOptions {
  std::filesystem::path mmproj;  // a GGUF with the towers of a text model's GGUF; empty: none
};

class Model {
 public:
  // path: a GGUF file, or a Hugging Face folder (config.json + safetensors, tokenizer.json if it has one). Reads
  // headers, checks every tensor's presence, type and shape, and maps the weights: nothing large is read or copied.
  // Throws Error: kNotFound, kBadFile, kUnsupported.
  static std::shared_ptr<const Model> load(const std::filesystem::path& path, const LoadOptions& options = {});

  const std::filesystem::path& path() const { return checkpoint_->path(); }
  const ModelConfig& config() const { return config_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  // The file of the towers, where they have one of their own; else null.
  const Checkpoint* projector() const { return mmproj_.get(); }
  const DecoderWeights& weights() const { return weights_; }

  // The towers; null where the files hold none.
  const ImageEncoder* vision() const { return vision_.get(); }
  const AudioEncoder* audio() const { return audio_.get(); }
  // The same, but Error(kUnsupported), saying what is missing and what to do, where there is none: a medium that comes
  // to a model without the tower for it is never left out silently.
  const ImageEncoder& require_vision() const;
  const AudioEncoder& require_audio() const;
  // From config.json, or by the vocabulary's names for them. Throws as tokenizer().
  MediaTokenIds media_tokens() const;

  // True where the files hold a tokenizer (a folder may lack tokenizer.json).
  bool has_tokenizer() const;
  // The tokenizer, built when it is first asked for: what works on ids alone need not wait for it. Any thread may ask.
  // Throws Error(kNotFound) where there is none, Error(kBadFile) where it is damaged.
  const Tokenizer& tokenizer() const;
  // The Jinja template that travels with the model; empty where it has none.
  std::string_view chat_template() const { return chat_template_; }

 private:
  Model() = default;

  std::unique_ptr<const Checkpoint> checkpoint_;  // owns the mapping that weights_ point into
  std::unique_ptr<const Checkpoint> mmproj_;      // and the towers, where they are in a file of their own
  ModelConfig config_;
  DecoderWeights weights_;
  std::shared_ptr<const ImageEncoder> vision_;
  std::shared_ptr<const AudioEncoder> audio_;
  std::string chat_template_;
  mutable std::once_flag tokenizer_once_;  // guards tokenizer_
  mutable std::unique_ptr<const Tokenizer> tokenizer_;
};

}  // namespace carat
