#include "model/model.h"

#include <system_error>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "checkpoint/safetensors.h"
#include "model/load_decoder.h"
#include "model/load_towers.h"
#include "model/media_tokens.h"
#include "model/read_chat_template.h"
#include "text/load_tokenizer.h"
#include "vision/patch_embedder.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace

std::shared_ptr<const Model> Model::load(const fs::path& path, const LoadOptions& options) {
  const std::shared_ptr<Model> model(new Model());
  std::error_code ignored;
  CheckpointStyle style;
  json::value config_json;  // of a folder
  const Gguf* gguf_metadata = nullptr;
  if (fs::is_directory(path, ignored)) {
    config_json = parse_json_file(path / "config.json");
    model->config_ = config_from_hugging_face(path / "config.json");
    model->checkpoint_ = std::make_unique<Safetensors>(path);
    style.names = NameStyle::kHuggingFace;
    style.prefix = hugging_face_prefix(*model->checkpoint_);
    style.is_norm_minus_one = model->config_.architecture == "gemma3";
    model->chat_template_ = read_chat_template(path);
  } else {
    auto gguf = std::make_unique<Gguf>(path);
    model->config_ = config_from_gguf(*gguf);
    model->chat_template_ = gguf->string("tokenizer.chat_template").value_or("");
    gguf_metadata = gguf.get();
    model->checkpoint_ = std::move(gguf);
  }
  model->weights_ = load_decoder(*model->checkpoint_, style, model->config_.decoder);

  TowerSource source{model->checkpoint_.get(), config_json.if_object(), gguf_metadata};
  if (!options.mmproj.empty()) {
    auto mmproj = std::make_unique<Gguf>(options.mmproj);
    source = {mmproj.get(), nullptr, mmproj.get()};
    model->mmproj_ = std::move(mmproj);
  }
  const Towers towers = load_towers(source, model->config_.decoder.hidden);
  model->vision_ = towers.vision;
  model->audio_ = towers.audio;
  // The unified model's forward() builds other masks (config_hugging_face.cpp); of a GGUF only the projector tells.
  DecoderConfig& decoder = model->config_.decoder;
  const bool is_unified = dynamic_cast<const PatchEmbedder*>(model->vision()) != nullptr;
  if (is_unified && decoder.image_attention == ImageAttention::kWindowed) {
    decoder.image_attention = ImageAttention::kWhole;
  }
  return model;
}

const ImageEncoder& Model::require_vision() const {
  if (vision_ != nullptr) return *vision_;
  throw Error(ErrorKind::kUnsupported, str(path().string(), ": this model can't see: its files hold no vision tower. ",
                                           "Add its projector file with --mmproj, or take a model with vision."));
}

const AudioEncoder& Model::require_audio() const {
  if (audio_ != nullptr) return *audio_;
  throw Error(ErrorKind::kUnsupported, str(path().string(), ": this model can't hear: its files hold no audio tower. ",
                                           "Add its projector file with --mmproj, or take a model with audio."));
}

MediaTokenIds Model::media_tokens() const {
  const MediaTokenIds& configured = config_.media_tokens;
  const bool is_configured = configured.image >= 0 || configured.audio >= 0 || configured.video >= 0;
  return is_configured ? configured : find_media_tokens(tokenizer().vocab());
}

bool Model::has_tokenizer() const {
  if (const auto* gguf = dynamic_cast<const Gguf*>(checkpoint_.get())) {
    const auto kind = gguf->string("tokenizer.ggml.model");
    return kind && *kind != "no_vocab" && *kind != "none";
  }
  return is_file(path() / "tokenizer.json");
}

const Tokenizer& Model::tokenizer() const {
  std::call_once(tokenizer_once_, [this] {
    if (!has_tokenizer()) {
      throw Error(ErrorKind::kNotFound,
                  str(path().string(), ": has no tokenizer. Put tokenizer.json beside the model."));
    }
    tokenizer_ = std::make_unique<const Tokenizer>(load_tokenizer(path()));
  });
  return *tokenizer_;
}

}  // namespace carat
