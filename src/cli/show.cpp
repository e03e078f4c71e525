// `carat show`: what a model is made of and what it needs; what this processor offers.
#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "chat/chat_template.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/weight_traffic.h"
#include "engine/session.h"
#include "kernels/cpu.h"

namespace carat {

namespace {

struct ShowOptions {
  std::string model;
  ComputeFlags compute;
  bool is_json = false;
  bool has_tensors = false;
  bool is_cpu = false;
};

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits{"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return str(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << value << ' ' << kUnits[unit];
  return out.str();
}

// How much of the file an element type takes.
struct TypeTotal {
  std::size_t tensors = 0;
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
};

// What is shown, gathered once for both forms.
struct ModelSummary {
  const Model& model;
  std::map<std::string_view, TypeTotal> types{};
  TypeTotal total{};
  Session::Memory memory{};
  std::size_t context = 0;
  std::uint64_t mapped_bytes = 0;   // weights that computing reads from the mapping
  std::uint64_t on_disk_bytes = 0;  // weights that are fetched by the row
  std::uint64_t bytes_per_token = 0;
};

ModelSummary summarise(const Model& model, const ShowOptions& options) {
  const DecoderConfig& decoder = model.config().decoder;
  ModelSummary summary{.model = model};
  for (const Tensor& tensor : model.checkpoint().tensors()) {
    TypeTotal& type = summary.types[dtype_info(tensor.dtype).name];
    for (TypeTotal* total : {&type, &summary.total}) {
      ++total->tensors;
      total->values += tensor.values();
      total->bytes += tensor.bytes.size();
    }
  }
  if (const auto& table = model.weights().ple_table) {
    summary.on_disk_bytes = std::uint64_t{table->rows()} * table->row_bytes();
  }
  summary.mapped_bytes = summary.total.bytes - summary.on_disk_bytes;
  SessionOptions session = session_options(options.compute);
  if (session.context == 0) session.context = std::min<std::size_t>(decoder.context_length, 4096);
  summary.context = session.context;
  summary.memory = Session::memory_needed(decoder, session);
  summary.bytes_per_token = weight_bytes_per_token(model.weights(), decoder);
  return summary;
}

// "s" for a sliding layer, "G" for a global one; "." where it reads another layer's keys and values.
std::string layer_pattern(const DecoderConfig& decoder) {
  std::string pattern;
  for (const LayerConfig& layer : decoder.layers) {
    pattern += layer.is_sliding ? 's' : 'G';
    if (!layer.owns_kv()) pattern += '.';
  }
  return pattern;
}

json::object layer_json(const LayerConfig& layer) {
  return {{"index", layer.index},
          {"kind", layer.is_sliding ? "sliding" : "global"},
          {"head_dim", layer.head_dim},
          {"kv_heads", layer.kv_heads},
          {"k_eq_v", layer.is_k_eq_v},
          {"kv_source", layer.kv_source},
          {"intermediate", layer.intermediate}};
}

json::value tokenizer_json(const Model& model) {
  if (!model.has_tokenizer()) return nullptr;
  const Vocab& vocab = model.tokenizer().vocab();
  const auto id = [](const std::optional<std::int32_t>& token) {
    return token ? json::value(*token) : json::value(nullptr);
  };
  return {{"tokens", vocab.size()},
          {"bos", id(vocab.bos())},
          {"eos", id(vocab.eos())},
          {"pad", id(vocab.pad())},
          {"ends", json::array(vocab.ends().begin(), vocab.ends().end())}};
}

json::object summary_json(const ModelSummary& summary, bool has_tensors) {
  const ModelConfig& config = summary.model.config();
  const DecoderConfig& decoder = config.decoder;
  json::array layers;
  for (const LayerConfig& layer : decoder.layers) layers.push_back(layer_json(layer));
  json::object types;
  for (const auto& [name, type] : summary.types) {
    types[name] = {{"tensors", type.tensors}, {"values", type.values}, {"bytes", type.bytes}};
  }
  const std::string_view chat_template = summary.model.chat_template();
  json::object out{
      {"path", summary.model.path().string()},
      {"architecture", config.architecture},
      {"name", config.name},
      {"parameters", summary.total.values},
      {"weight_bytes", summary.total.bytes},
      {"weight_bytes_per_token", summary.bytes_per_token},
      {"vocab", decoder.vocab},
      {"hidden", decoder.hidden},
      {"heads", decoder.heads},
      {"window", decoder.window},
      {"context_length", decoder.context_length},
      {"per_layer_embedding", decoder.ple_dim},
      {"experts", decoder.moe.experts},
      {"experts_used", decoder.moe.used},
      {"has_vision", summary.model.vision() != nullptr},
      {"has_audio", summary.model.audio() != nullptr},
      {"layer_pattern", layer_pattern(decoder)},
      {"layers", std::move(layers)},
      {"types", std::move(types)},
      {"tokenizer", tokenizer_json(summary.model)},
      {"chat_template", chat_template.empty() ? json::value(nullptr)
                                              : json::value{{"bytes", chat_template.size()},
                                                            {"revision", template_revision(chat_template)}}},
      {"memory",
       {{"ctx", summary.context},
        {"weights_mapped_bytes", summary.mapped_bytes},
        {"weights_on_disk_bytes", summary.on_disk_bytes},
        {"kv_bytes", summary.memory.kv_bytes},
        {"scratch_bytes", summary.memory.scratch_bytes}}},
  };
  if (has_tensors) {
    json::array tensors;
    for (const Tensor& tensor : summary.model.checkpoint().tensors()) {
      tensors.push_back({{"name", tensor.name},
                         {"type", dtype_info(tensor.dtype).name},
                         {"shape", json::array(tensor.shape.begin(), tensor.shape.end())},
                         {"bytes", tensor.bytes.size()}});
    }
    out["tensors"] = std::move(tensors);
  }
  return out;
}

std::string count_text(std::uint64_t count) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(count < 100'000'000'000 ? 2 : 0);
  if (count >= 1'000'000'000) {
    out << static_cast<double>(count) * 1e-9 << " billion";
  } else {
    out << static_cast<double>(count) * 1e-6 << " million";
  }
  return out.str();
}

std::string tokenizer_text(const Model& model) {
  if (!model.has_tokenizer()) return "none in the model's files";
  const Vocab& vocab = model.tokenizer().vocab();
  std::string text = str(vocab.size(), " tokens");
  if (vocab.bos()) text += str(", begins with ", *vocab.bos());
  if (!vocab.ends().empty()) text += ", ends with";
  for (const std::int32_t id : vocab.ends()) text += str(" ", id);
  return text;
}

std::string summary_text(const ModelSummary& summary, bool has_tensors) {
  std::ostringstream out;
  const auto line = [&out](std::string_view key, const std::string& value) {
    out << std::left << std::setw(16) << key << value << '\n';
  };
  const ModelConfig& config = summary.model.config();
  const DecoderConfig& decoder = config.decoder;
  const auto sliding = static_cast<std::size_t>(
      std::count_if(decoder.layers.begin(), decoder.layers.end(), [](const auto& layer) { return layer.is_sliding; }));
  const auto sharing = static_cast<std::size_t>(
      std::count_if(decoder.layers.begin(), decoder.layers.end(), [](const auto& layer) { return !layer.owns_kv(); }));

  line("model", printable(summary.model.path().string(), 4096));
  line("architecture", config.architecture + (config.name.empty() ? "" : ", \"" + printable(config.name) + "\""));
  line("parameters", str(count_text(summary.total.values), " in ", summary.total.tensors, " tensors, ",
                         size_text(summary.total.bytes)));
  line("layers", str(decoder.layers.size(), ": ", sliding, " sliding (window ", decoder.window, "), ",
                     decoder.layers.size() - sliding, " global",
                     sharing > 0 ? str(", ", sharing, " read another layer's keys and values") : ""));
  line("pattern", layer_pattern(decoder));
  line("width", str(decoder.hidden, ", ", decoder.heads, " heads, vocabulary ", decoder.vocab));
  if (decoder.ple_dim > 0) line("per layer", str("embeddings of width ", decoder.ple_dim));
  if (decoder.moe.experts > 0) line("experts", str(decoder.moe.experts, ", ", decoder.moe.used, " for each token"));
  const bool sees = summary.model.vision() != nullptr;
  const bool hears = summary.model.audio() != nullptr;
  if (sees || hears) line("towers", sees && hears ? "pictures, sound" : sees ? "pictures" : "sound");
  line("trained for", str(decoder.context_length, " tokens of context"));
  for (const auto& [name, type] : summary.types) {
    line("type " + std::string(name), str(type.tensors, " tensors, ", size_text(type.bytes)));
  }
  line("tokenizer", tokenizer_text(summary.model));
  const std::string_view chat_template = summary.model.chat_template();
  line("chat template", chat_template.empty()
                            ? "none: a base model"
                            : str(chat_template.size(), " bytes, revision ", template_revision(chat_template)));
  line("memory", str("at ", summary.context, " tokens of context: ", size_text(summary.mapped_bytes),
                     " of weights (mapped from the file), ", size_text(summary.memory.kv_bytes),
                     " of keys and values, ", size_text(summary.memory.scratch_bytes), " of scratch"));
  if (summary.on_disk_bytes > 0) {
    line("", str(size_text(summary.on_disk_bytes), " of per-layer embeddings stay on disk"));
  }
  line("per token", str(size_text(summary.bytes_per_token), " of weights are read"));
  if (has_tensors) {
    out << '\n';
    for (const Tensor& tensor : summary.model.checkpoint().tensors()) {
      out << std::left << std::setw(8) << dtype_info(tensor.dtype).name << std::setw(24) << shape_text(tensor.shape)
          << printable(tensor.name, 256) << '\n';
    }
  }
  return out.str();
}

void show_cpu(const ShowOptions& options) {
  const KernelTable& chosen = select_kernels(options.compute.isa);
  if (options.is_json) {
    json::array tables;
    for (const KernelTable* table : all_kernels()) {
      tables.push_back({{"name", table->name}, {"runs_here", (table->needs & ~cpu_features()) == 0}});
    }
    const json::object out{
        {"isa", chosen.name}, {"tables", std::move(tables)}, {"physical_cores", ThreadPool::physical_cores()}};
    write_stdout(json::serialize(out) + "\n");
    return;
  }
  write_stdout(str("instruction sets  ", kernel_names(), "\nused              ", chosen.name, "\nphysical cores    ",
                   ThreadPool::physical_cores(), "\n"));
}

void run_show(const ShowOptions& options) {
  if (options.is_cpu) {
    show_cpu(options);
    return;
  }
  if (options.model.empty()) throw UsageError("show needs a MODEL, or --cpu. See `carat show --help`.");
  const auto model = Model::load(options.model);
  const ModelSummary summary = summarise(*model, options);
  if (options.is_json) {
    write_stdout(json::serialize(summary_json(summary, options.has_tensors)) + "\n");
  } else {
    write_stdout(summary_text(summary, options.has_tensors));
  }
}

}  // namespace

void define_show(Command root, Action& action) {
  auto options = std::make_shared<ShowOptions>();
  const Command verb =
      root.add_verb("show", "Show what a model is made of and what memory it needs", "carat show model.gguf --tensors");
  add_model(verb, options->model);
  verb.find_option("MODEL").required(false);  // not with --cpu
  verb.flag("--json", options->is_json, "Print one JSON object");
  verb.flag("--tensors", options->has_tensors, "List all tensors");
  verb.flag("--cpu", options->is_cpu, "Show what this processor offers instead");
  add_compute_flags(verb, options->compute);
  set_model_action(verb, action, options, run_show);
}

}  // namespace carat
