#include "model/load_audio.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "audio/conformer_encoder.h"
#include "audio/waveform_encoder.h"
#include "base/error.h"
#include "model/config_limits.h"
#include "model/tower_tensors.h"

namespace carat {
namespace {

constexpr std::int64_t kMaxChannels = 4096;
constexpr std::int64_t kMaxConvWidth = 64;
constexpr std::uint64_t kKernelSide = 3;  // of the convolutions before the conformer

// What a tensor is called in the two kinds of files. Names of clipped linears lack ".weight".
struct Name {
  const char* gguf;
  const char* hugging_face;
};

// Of the whole tower; those of a Hugging Face folder come behind "model." or its like.
constexpr Name kInput{"a.input_projection.weight", "audio_tower.subsample_conv_projection.input_proj_linear.weight"};
constexpr Name kOutput{"a.pre_encode.out.weight", "audio_tower.output_proj.weight"};
constexpr Name kOutputBias{"a.pre_encode.out.bias", "audio_tower.output_proj.bias"};
constexpr Name kProjection{"mm.a.input_projection.weight", "embed_audio.embedding_projection.weight"};
// Of a convolution, behind "a.conv1d.0." or "audio_tower.subsample_conv_projection.layer0.".
constexpr Name kConv{"weight", "conv.weight"};
constexpr Name kConvNorm{"norm.weight", "norm.weight"};
// Of a layer, behind "a.blk.0." or "audio_tower.layers.0.".
constexpr Name kFirstPreNorm{"ffn_norm.weight", "feed_forward1.pre_layer_norm.weight"};
constexpr Name kFirstUp{"ffn_up", "feed_forward1.ffw_layer_1"};
constexpr Name kFirstDown{"ffn_down", "feed_forward1.ffw_layer_2"};
constexpr Name kFirstPostNorm{"ffn_post_norm.weight", "feed_forward1.post_layer_norm.weight"};
constexpr Name kSecondPreNorm{"ffn_norm_1.weight", "feed_forward2.pre_layer_norm.weight"};
constexpr Name kSecondUp{"ffn_up_1", "feed_forward2.ffw_layer_1"};
constexpr Name kSecondDown{"ffn_down_1", "feed_forward2.ffw_layer_2"};
constexpr Name kSecondPostNorm{"ffn_post_norm_1.weight", "feed_forward2.post_layer_norm.weight"};
constexpr Name kPreAttentionNorm{"attn_pre_norm.weight", "norm_pre_attn.weight"};
constexpr Name kQuery{"attn_q", "self_attn.q_proj"};
constexpr Name kKey{"attn_k", "self_attn.k_proj"};
constexpr Name kValue{"attn_v", "self_attn.v_proj"};
constexpr Name kAttentionOutput{"attn_out", "self_attn.post"};
constexpr Name kRelativeKey{"attn_k_rel.weight", "self_attn.relative_k_proj.weight"};
constexpr Name kPerDimScale{"per_dim_scale.weight", "self_attn.per_dim_scale"};
constexpr Name kPostAttentionNorm{"attn_post_norm.weight", "norm_post_attn.weight"};
// llama.cpp's converter (tensor_mapping.py) has the names of these two norms the other way round than their places, and
// all files have them so.
constexpr Name kLightConvPreNorm{"conv_norm.weight", "lconv1d.pre_layer_norm.weight"};
constexpr Name kLightConvStart{"conv_pw1", "lconv1d.linear_start"};
constexpr Name kDepthwise{"conv_dw.weight", "lconv1d.depthwise_conv1d.weight"};
constexpr Name kLightConvNorm{"norm_conv.weight", "lconv1d.conv_norm.weight"};
constexpr Name kLightConvEnd{"conv_pw2", "lconv1d.linear_end"};
constexpr Name kOutputNorm{"ln2.weight", "norm_out.weight"};

// The audio part of a config.json, or the keys "clip.audio." of a GGUF.
class Keys {
 public:
  explicit Keys(const TowerSource& source) : gguf_(source.gguf), where_(source.checkpoint->path().string()) {
    if (source.config_json != nullptr) object_ = find_object(*source.config_json, "audio_config", where_);
  }

  bool is_gguf() const { return gguf_ != nullptr; }
  const std::string& where() const { return where_; }
  const json::object* object() const { return object_; }

  // True where the source has ears at all.
  bool exist() const {
    return is_gguf() ? gguf_->boolean("clip.has_audio_encoder").value_or(false) : object_ != nullptr;
  }
  std::string kind() const {
    return std::string(is_gguf() ? gguf_->string("clip.audio.projector_type").value_or("")
                                 : find_string(*object_, "model_type", where_).value_or(""));
  }
  std::size_t size(const Name& key, std::int64_t max) const {
    const std::string name = is_gguf() ? str("clip.audio.", key.gguf) : key.hugging_face;
    const auto value = is_gguf() ? gguf_->integer(name) : find_integer(*object_, name, where_);
    if (!value) throw Error(ErrorKind::kBadFile, str(where_, ": lacks \"", name, "\"."));
    return checked_size(*value, 1, max, where_, name);
  }
  float positive_or(const Name& key, double otherwise) const {
    const std::string name = is_gguf() ? str("clip.audio.", key.gguf) : key.hugging_face;
    const auto value = is_gguf() ? gguf_->number(name) : find_number(*object_, name, where_);
    return checked_positive(value.value_or(otherwise), where_, name);
  }

 private:
  const Gguf* gguf_;
  const json::object* object_ = nullptr;
  std::string where_;
};

class Loader {
 public:
  Loader(const TowerSource& source, const Keys& keys, std::size_t text_hidden)
      : keys_(keys), tensors_(*source.checkpoint) {
    config_.text_hidden = text_hidden;
    if (keys_.is_gguf()) return;
    for (const char* prefix : {"model.", ""}) {
      prefix_ = prefix;
      if (tensors_.has(name(kProjection))) break;
    }
  }

  std::shared_ptr<const AudioEncoder> load_conformer() {
    read_config();
    AudioWeights w;
    for (std::size_t i = 0; i < kSubsampleLayers; ++i) w.subsample[i] = load_subsample(i);
    w.input = tensors_.matrix(name(kInput), config_.hidden, kSubsampledBins * config_.channels[1]);
    for (std::size_t layer = 0; layer < config_.layers; ++layer) w.layers.push_back(load_layer(layer));
    w.output = tensors_.matrix(name(kOutput), config_.output, config_.hidden);
    w.output_bias = tensors_.values(name(kOutputBias), {config_.output});
    w.projection = tensors_.matrix(name(kProjection), config_.text_hidden, config_.output);
    return std::make_shared<ConformerEncoder>(config_, std::move(w));
  }

  std::shared_ptr<const AudioEncoder> load_waveform() {
    const std::size_t frame = keys_.size({"embedding_length", "audio_embed_dim"}, kMaxWidth);
    return std::make_shared<WaveformEncoder>(tensors_.matrix(name(kProjection), config_.text_hidden, frame), eps());
  }

 private:
  std::string name(const Name& n) const { return keys_.is_gguf() ? n.gguf : str(prefix_, n.hugging_face); }
  std::string conv_name(std::size_t i, const Name& n) const {
    return keys_.is_gguf() ? str("a.conv1d.", i, ".", n.gguf)
                           : str(prefix_, "audio_tower.subsample_conv_projection.layer", i, ".", n.hugging_face);
  }
  std::string layer_name(std::size_t i, const Name& n) const {
    return keys_.is_gguf() ? str("a.blk.", i, ".", n.gguf)
                           : str(prefix_, "audio_tower.layers.", i, ".", n.hugging_face);
  }
  float eps() const { return keys_.positive_or({"attention.layer_norm_epsilon", "rms_norm_eps"}, 1e-6); }

  // What a file does not state is read off its tensors' shapes.
  void read_config() {
    config_.hidden = keys_.size({"embedding_length", "hidden_size"}, kMaxWidth);
    config_.heads = keys_.size({"attention.head_count", "num_attention_heads"}, kMaxHeads);
    config_.layers = keys_.size({"block_count", "num_hidden_layers"}, kMaxLayers);
    config_.eps = eps();
    if (config_.hidden % config_.heads != 0 || config_.hidden % 2 != 0 || config_.head_dim() > kMaxHeadDim) {
      throw Error(ErrorKind::kBadFile, str(keys_.where(), ": the audio tower's ", config_.heads,
                                           " heads don't divide its width of ", config_.hidden, "."));
    }
    for (std::size_t i = 0; i < kSubsampleLayers; ++i) {
      config_.channels[i] = extent(conv_name(i, kConv), 0, kMaxChannels);
    }
    config_.conv_width = extent(layer_name(0, kDepthwise), keys_.is_gguf() ? 1 : 2, kMaxConvWidth);
    config_.output = extent(name(kOutput), 0, kMaxWidth);
    if (!keys_.is_gguf()) read_published_config();
  }

  // Keys that only config.json has; a GGUF means the values of the published models.
  void read_published_config() {
    config_.logit_cap = keys_.positive_or({"", "attention_logit_cap"}, double{config_.logit_cap});
    config_.residual_weight = keys_.positive_or({"", "residual_weight"}, double{config_.residual_weight});
    config_.clip = keys_.positive_or({"", "gradient_clipping"}, double{config_.clip});
    expect("attention_context_left", kAudioWindow + 1);
    expect("attention_context_right", 0);
  }

  void expect(std::string_view key, std::size_t expected) const {
    const auto value = find_integer(*keys_.object(), key, keys_.where());
    if (!value || *value == static_cast<std::int64_t>(expected)) return;
    throw Error(ErrorKind::kUnsupported,
                str(keys_.where(), ": audio_config has \"", key, "\" ", *value, "; carat knows ", expected, " only."));
  }

  // One extent of a tensor whose shape is checked in full later.
  std::size_t extent(const std::string& tensor_name, std::size_t dimension, std::int64_t max) const {
    const Tensor& tensor = tensors_.tensor(tensor_name);
    if (dimension >= tensor.shape.size()) {
      throw Error(ErrorKind::kBadFile, str(keys_.where(), ": tensor ", tensor_name, " has shape ",
                                           shape_text(tensor.shape), ", expected more dimensions."));
    }
    return checked_size(static_cast<std::int64_t>(tensor.shape[dimension]), 1, max, keys_.where(), tensor_name);
  }

  SubsampleWeights load_subsample(std::size_t i) const {
    const std::uint64_t in = i == 0 ? 1 : config_.channels[i - 1];
    const std::uint64_t out = config_.channels[i];
    const std::uint64_t area = kKernelSide * kKernelSide;
    const std::vector<float> values = tensors_.values(conv_name(i, kConv), {out, in, kKernelSide, kKernelSide});
    SubsampleWeights w;
    w.norm = tensors_.values(conv_name(i, kConvNorm), {out});
    w.kernel.resize(values.size());
    for (std::uint64_t o = 0; o < out; ++o) {
      for (std::uint64_t c = 0; c < in; ++c) {
        for (std::uint64_t at = 0; at < area; ++at) {
          w.kernel[(o * area + at) * in + c] = values[(o * in + c) * area + at];
        }
      }
    }
    return w;
  }

  ConformerWeights load_layer(std::size_t i) const {
    ConformerWeights w;
    w.feed_forward_1 = load_feed_forward(i, kFirstPreNorm, kFirstUp, kFirstDown, kFirstPostNorm);
    w.pre_attention_norm = norm(i, kPreAttentionNorm);
    w.attention = load_attention(i);
    w.post_attention_norm = norm(i, kPostAttentionNorm);
    w.conv.pre_norm = norm(i, kLightConvPreNorm);
    w.conv.start = clipped(i, kLightConvStart, 2 * config_.hidden, config_.hidden);
    w.conv.kernel = load_depthwise(i);
    w.conv.conv_norm = norm(i, kLightConvNorm);
    w.conv.end = clipped(i, kLightConvEnd, config_.hidden, config_.hidden);
    w.feed_forward_2 = load_feed_forward(i, kSecondPreNorm, kSecondUp, kSecondDown, kSecondPostNorm);
    w.output_norm = norm(i, kOutputNorm);
    return w;
  }

  AudioFeedForwardWeights load_feed_forward(std::size_t i, const Name& pre_norm, const Name& up, const Name& down,
                                            const Name& post_norm) const {
    return {norm(i, pre_norm), clipped(i, up, config_.intermediate(), config_.hidden),
            clipped(i, down, config_.hidden, config_.intermediate()), norm(i, post_norm)};
  }

  AudioAttentionWeights load_attention(std::size_t i) const {
    AudioAttentionWeights w;
    w.query = clipped(i, kQuery, config_.hidden, config_.hidden);
    w.key = clipped(i, kKey, config_.hidden, config_.hidden);
    w.value = clipped(i, kValue, config_.hidden, config_.hidden);
    w.output = clipped(i, kAttentionOutput, config_.hidden, config_.hidden);
    w.relative_key = tensors_.matrix(layer_name(i, kRelativeKey), config_.hidden, config_.hidden);
    w.query_scale = tensors_.values(layer_name(i, kPerDimScale), {config_.head_dim()});
    const double factor = 1.0 / (std::sqrt(static_cast<double>(config_.head_dim())) * std::numbers::ln2);
    for (float& scale : w.query_scale) {
      // The converter to GGUF applies the softplus itself.
      const double softplus = keys_.is_gguf() ? double{scale} : std::log1p(std::exp(double{scale}));
      scale = static_cast<float>(factor * softplus);
    }
    return w;
  }

  // [hidden, width], or [hidden, 1, width] in a folder, turned over.
  std::vector<float> load_depthwise(std::size_t i) const {
    const std::size_t hidden = config_.hidden;
    const std::size_t width = config_.conv_width;
    const std::vector<std::uint64_t> shape =
        keys_.is_gguf() ? std::vector<std::uint64_t>{hidden, width} : std::vector<std::uint64_t>{hidden, 1, width};
    const std::vector<float> values = tensors_.values(layer_name(i, kDepthwise), shape);
    std::vector<float> kernel(values.size());
    for (std::size_t channel = 0; channel < hidden; ++channel) {
      for (std::size_t at = 0; at < width; ++at) kernel[at * hidden + channel] = values[channel * width + at];
    }
    return kernel;
  }

  std::vector<float> norm(std::size_t i, const Name& n) const {
    return tensors_.values(layer_name(i, n), {config_.hidden});
  }
  ClippedLinearWeights clipped(std::size_t i, const Name& n, std::size_t rows, std::size_t cols) const {
    const std::string base = layer_name(i, n);
    return tensors_.clipped(base, base + (keys_.is_gguf() ? ".weight" : ".linear.weight"), rows, cols);
  }

  const Keys& keys_;
  TowerTensors tensors_;
  std::string prefix_;  // of Hugging Face names
  AudioConfig config_;
};

}  // namespace

std::shared_ptr<const AudioEncoder> load_audio(const TowerSource& source, std::size_t text_hidden) {
  const Keys keys(source);
  if (!keys.exist()) return nullptr;
  const std::string kind = keys.kind();
  Loader loader(source, keys, text_hidden);
  if (kind == "gemma4_audio" || kind == "gemma4a") return loader.load_conformer();
  if (kind == "gemma4_unified_audio" || kind == "gemma4ua") return loader.load_waveform();
  throw Error(ErrorKind::kUnsupported, str(keys.where(), ": its audio part is \"", printable(kind),
                                           "\"; carat knows those of gemma4 and gemma4_unified."));
}

}  // namespace carat
