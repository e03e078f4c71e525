#include "convert/convert.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "base/error.h"
#include "checkpoint/file_type.h"
#include "checkpoint/safetensors.h"
#include "convert/model_keys.h"
#include "convert/tokenizer_keys.h"
#include "convert/tower_tensors.h"
#include "model/load_decoder.h"
#include "model/names.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

// Tensors of a folder that no runtime reads: tables that follow from the configuration.
bool is_derived(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with("embed_positions.weight") ||
         name.ends_with("position_ids");
}

// Matrices that are read in full precision, as llama.cpp's conversion keeps them.
bool is_f32_matrix(TensorRole role) {
  return role == TensorRole::kRouter;
}

// Gemma 3's norms multiply by 1 + weight; GGUF has the sum.
bool is_norm(TensorRole role) {
  switch (role) {
    case TensorRole::kFinalNorm:
    case TensorRole::kInputNorm:
    case TensorRole::kQueryNorm:
    case TensorRole::kKeyNorm:
    case TensorRole::kPostAttentionNorm:
    case TensorRole::kPreFeedForwardNorm:
    case TensorRole::kPostFeedForwardNorm:
      return true;
    default:
      return false;
  }
}

void add_one(std::span<float> row) {
  for (float& x : row) x += 1;
}

// The folder, what is to be written of it, and what has been found so far.
class Conversion {
 public:
  explicit Conversion(const ConvertOptions& options)
      : options_(options),
        where_((options.folder / "config.json").string()),
        document_(parse_json_file(options.folder / "config.json")),
        config_(read_config()),
        checkpoint_(options.folder),
        prefix_(hugging_face_prefix(checkpoint_)) {}

  void run(const Progress& progress) {
    std::vector<TensorJob> text = text_jobs();
    std::vector<TensorJob> towers = tower_jobs();
    check_all_known(text, towers);
    if (!options_.has_towers) towers.clear();
    const bool is_split = !options_.projector.empty();
    if (is_split && towers.empty()) {
      throw Error(ErrorKind::kBadInput, str(options_.folder.string(), ": has no vision or audio tower to write to ",
                                            options_.projector.string(), "."));
    }
    if (is_split) write_projector(towers, progress);
    if (!is_split) std::move(towers.begin(), towers.end(), std::back_inserter(text));
    write_model(text, options_.has_towers && !is_split, progress);
  }

 private:
  // Of an assistant, what its decoder has in common with models; the rest is in drafter_.
  ModelConfig read_config() {
    const fs::path path = options_.folder / "config.json";
    const std::string_view type = find_string(document(), "model_type", where_).value_or("");
    if (!type.ends_with("_assistant")) return config_from_hugging_face(path);
    drafter_ = drafter_config_from_hugging_face(path);
    ModelConfig config;
    config.architecture = "gemma4-assistant";
    config.decoder = drafter_->decoder;
    return config;
  }

  const json::object& document() const { return document_.as_object(); }

  DType type_of(const Tensor& tensor) const {
    if (tensor.dtype == DType::kI64 || tensor.dtype == DType::kI32) return tensor.dtype;  // an assistant's token order
    return tensor.shape.size() <= 1 ? DType::kF32 : options_.matrix_type.value_or(tensor.dtype);
  }

  void add_text(std::vector<TensorJob>& jobs, TensorRole role, std::size_t layer) const {
    const Tensor* tensor = checkpoint_.find(tensor_name(role, NameStyle::kHuggingFace, prefix_, layer));
    if (tensor == nullptr) return;
    TensorJob job;
    job.name = tensor_name(role, NameStyle::kGguf, {}, layer);
    job.source = tensor;
    job.shape = tensor->shape.empty() ? std::vector<std::uint64_t>{1} : tensor->shape;
    job.dtype = is_f32_matrix(role) ? DType::kF32 : type_of(*tensor);
    if (config_.architecture == "gemma3" && is_norm(role)) job.edit = add_one;
    jobs.push_back(std::move(job));
  }

  std::vector<TensorJob> text_jobs() const {
    std::vector<TensorJob> jobs;
    for (const TensorRole role : model_roles()) add_text(jobs, role, 0);
    if (config_.architecture != "gemma3") jobs.push_back(rope_factors());
    for (const LayerConfig& layer : config_.decoder.layers) {
      for (const TensorRole role : layer_roles()) add_text(jobs, role, layer.index);
    }
    return jobs;
  }

  // Proportional RoPE of the global layers, as GGUF says it: what each pair's angle is divided by.
  TensorJob rope_factors() const {
    constexpr float kStays = 1e30F;  // as good as infinite: the pair does not turn
    const DecoderConfig& decoder = config_.decoder;
    std::size_t pairs = 0;
    for (const LayerConfig& layer : decoder.layers) {
      if (!layer.is_sliding) pairs = layer.head_dim / 2;
    }
    TensorJob job;
    job.name = "rope_freqs.weight";
    job.values.assign(pairs, kStays);
    std::fill_n(job.values.begin(), std::min(decoder.rope_global.size(), pairs), 1.0F);
    job.shape = {pairs};
    return job;
  }

  std::vector<TensorJob> tower_jobs() const {
    std::vector<TensorJob> jobs;
    for (const Tensor& tensor : checkpoint_.tensors()) {
      for (const std::string_view prefix : {"model.", ""}) {
        auto job = tower_tensor(tensor, prefix);
        if (!job) continue;
        if (job->dtype == tensor.dtype && job->shape.size() > 1) job->dtype = type_of(tensor);
        jobs.push_back(*std::move(job));
        break;
      }
    }
    return jobs;
  }

  void check_all_known(std::span<const TensorJob> text, std::span<const TensorJob> towers) const {
    std::unordered_set<const Tensor*> known;
    for (const auto jobs : {text, towers}) {
      for (const TensorJob& job : jobs) known.insert(job.source);
    }
    for (const Tensor& tensor : checkpoint_.tensors()) {
      if (known.contains(&tensor) || is_derived(tensor.name)) continue;
      throw Error(ErrorKind::kUnsupported,
                  str(tensor.file->path().string(), ": tensor ", printable(tensor.name), " ", shape_text(tensor.shape),
                      " is none that carat knows. A converted file would lack it, so none is written."));
    }
  }

  void add_general(GgufWriter& writer, std::string_view architecture, std::string_view type,
                   std::span<const TensorJob> jobs) const {
    writer.add("general.architecture", architecture);
    writer.add("general.type", type);
    const fs::path absolute = fs::absolute(options_.folder).lexically_normal();
    const std::string name = absolute.has_filename() ? absolute.filename() : absolute.parent_path().filename();
    writer.add("general.name", printable(name, 200));
    writer.add("general.file_type", gguf_file_type(most_common_type(jobs)));
    writer.add("general.quantization_version", kGgufQuantizationVersion);
  }

  // The type that most bytes of matrices have.
  static DType most_common_type(std::span<const TensorJob> jobs) {
    std::array<std::uint64_t, kDTypeCount> bytes{};
    for (const TensorJob& job : jobs) {
      if (job.shape.size() > 1) {
        bytes[static_cast<std::size_t>(job.dtype)] += tensor_bytes(job.dtype, job.shape).value_or(0);
      }
    }
    return static_cast<DType>(std::max_element(bytes.begin(), bytes.end()) - bytes.begin());
  }

  void write_model(std::span<const TensorJob> jobs, bool has_towers, const Progress& progress) const {
    GgufWriter writer(options_.output);
    add_general(writer, config_.architecture, "model", jobs);
    add_model_keys(writer, document(), config_, where_);
    if (drafter_) add_assistant_keys(writer, *drafter_);
    if (has_towers) add_tower_keys(writer, document(), config_, where_);
    add_tokenizer_keys(writer, options_.folder, config_.architecture, config_.decoder.vocab);
    write_tensors(writer, jobs, progress);
    writer.finish();
  }

  void write_projector(std::span<const TensorJob> jobs, const Progress& progress) const {
    GgufWriter writer(options_.projector);
    add_general(writer, "clip", "mmproj", jobs);
    add_tower_keys(writer, document(), config_, where_);
    write_tensors(writer, jobs, progress);
    writer.finish();
  }

  const ConvertOptions& options_;
  std::string where_;  // begins messages about config.json
  json::value document_;
  std::optional<DrafterConfig> drafter_;  // of assistants
  ModelConfig config_;
  Safetensors checkpoint_;
  std::string prefix_;  // what names of text tensors begin with
};

}  // namespace

void convert_to_gguf(const ConvertOptions& options, const Progress& progress) {
  Conversion(options).run(progress);
}

}  // namespace carat
