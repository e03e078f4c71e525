// `carat plan`: what memory a model takes, part by part, by the arithmetic of those who allocate it.
#include <algorithm>
#include <iomanip>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "checkpoint/gguf.h"
#include "cli/command.h"
#include "cli/media_files.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "decoder/kv_cache.h"
#include "engine/session.h"

namespace carat {
namespace {

struct PlanFlags {
  std::string model;
  std::string mmproj{};
  ComputeFlags compute{};
  std::size_t parallel = 1;
  bool is_json = false;
};

struct Plan {
  std::size_t context = 0;
  std::size_t parallel = 0;
  // Pages of mapped files: the kernel may drop them, and reads them again, slowly, where it has to.
  std::uint64_t weights = 0;
  std::uint64_t towers = 0;
  std::uint64_t on_disk = 0;  // per-layer embeddings, fetched by the row: never in memory
  // The process's own.
  std::uint64_t sliding_kv = 0;
  std::uint64_t global_kv = 0;
  std::uint64_t scratch = 0;
  std::uint64_t program = 0;  // code, tokenizer, threads

  std::uint64_t own() const { return sliding_kv + global_kv + scratch + program; }
  std::uint64_t total() const { return weights + towers + own(); }
};

bool is_of_tower(std::string_view name) {
  return name.starts_with("v.") || name.starts_with("a.") || name.starts_with("mm.") ||
         name.find("vision_") != std::string_view::npos || name.find("audio_tower.") != std::string_view::npos ||
         name.find("embed_vision.") != std::string_view::npos || name.find("embed_audio.") != std::string_view::npos;
}

// Of one sequence's cache, the layers of one kind.
std::uint64_t kv_bytes(DecoderConfig config, const SessionOptions& session, bool is_sliding) {
  std::erase_if(config.layers, [&](const LayerConfig& layer) { return layer.is_sliding != is_sliding; });
  const std::size_t chunk = std::min(session.chunk, session.context);
  return KvCache::bytes_needed(config, {session.kv_type, session.kv_type, session.context, chunk, chunk});
}

std::uint64_t tensor_bytes_of(const Checkpoint& checkpoint) {
  std::uint64_t total = 0;
  for (const Tensor& tensor : checkpoint.tensors()) total += tensor.bytes.size();
  return total;
}

// Measured on x86-64: a vocabulary with its index and merges.
constexpr std::uint64_t kBytesPerToken = 74;

// bare: what the program takes before it has loaded anything, code and libraries: this very process tells.
Plan make_plan(const Model& model, const PlanFlags& flags, std::uint64_t bare) {
  const DecoderConfig& config = model.config().decoder;
  SessionOptions session = session_options(flags.compute);
  if (session.context == 0) session.context = std::min<std::size_t>(config.context_length, 4096);
  Plan plan;
  plan.context = session.context;
  plan.parallel = flags.parallel;
  for (const Tensor& tensor : model.checkpoint().tensors()) {
    (is_of_tower(tensor.name) ? plan.towers : plan.weights) += tensor.bytes.size();
  }
  if (!flags.mmproj.empty()) plan.towers += tensor_bytes_of(Gguf(flags.mmproj));
  if (const auto& table = model.weights().ple_table) {
    plan.on_disk = std::uint64_t{table->rows()} * table->row_bytes();
    plan.weights -= plan.on_disk;
  }
  plan.sliding_kv = flags.parallel * kv_bytes(config, session, true);
  plan.global_kv = flags.parallel * kv_bytes(config, session, false);
  plan.scratch = Session::memory_needed(config, session).scratch_bytes;
  plan.program = bare + (model.has_tokenizer() ? kBytesPerToken * config.vocab : 0);
  return plan;
}

// The longest context, in steps of 1024, that fits; 0 for none.
std::size_t longest_context(const Model& model, PlanFlags flags, std::uint64_t bare, std::uint64_t available) {
  std::size_t context = std::min<std::size_t>(model.config().decoder.context_length, kMaxContext);
  for (; context >= 1024; context = context / 2 / 1024 * 1024) {
    flags.compute.context = context;
    if (make_plan(model, flags, bare).total() <= available) return context;
  }
  return 0;
}

std::string verdict(const Model& model, const PlanFlags& flags, std::uint64_t bare, const Plan& plan,
                    std::uint64_t available) {
  if (plan.total() <= available) return str("fits: ", bytes_text(available), " are free");
  std::string advice;
  const std::size_t shorter = longest_context(model, flags, bare, available);
  if (shorter != 0 && shorter < plan.context) advice = str(" --ctx ", shorter, " would fit.");
  if (advice.empty()) advice = " Use a smaller quantisation, or fewer sequences (--parallel).";
  if (plan.own() <= available) {
    return str("does not fit: ", bytes_text(available),
               " are free. It would run, reading weights from the disk again and "
               "again.",
               advice);
  }
  return str("does not fit: ", bytes_text(available), " are free.", advice);
}

void run_plan(const PlanFlags& flags) {
  const std::uint64_t bare = resident_memory().total;
  const auto model = Model::load(flags.model, {.mmproj = flags.mmproj});
  const Plan plan = make_plan(*model, flags, bare);
  const std::uint64_t available = available_memory();
  if (flags.is_json) {
    const json::object out{{"ctx", plan.context},
                           {"parallel", plan.parallel},
                           {"kv_type", flags.compute.kv_type},
                           {"weights_mapped_bytes", plan.weights},
                           {"towers_mapped_bytes", plan.towers},
                           {"weights_on_disk_bytes", plan.on_disk},
                           {"sliding_kv_bytes", plan.sliding_kv},
                           {"global_kv_bytes", plan.global_kv},
                           {"scratch_bytes", plan.scratch},
                           {"program_bytes", plan.program},
                           {"total_bytes", plan.total()},
                           {"available_bytes", available},
                           {"fits", plan.total() <= available}};
    write_stdout(json::serialize(out) + "\n");
    return;
  }
  std::ostringstream out;
  const auto line = [&](std::string_view name, std::uint64_t bytes, std::string_view what) {
    out << std::left << std::setw(18) << name << std::right << std::setw(10) << bytes_text(bytes) << "  " << what
        << '\n';
  };
  const std::string sequences = str(plan.parallel, plan.parallel == 1 ? " sequence of " : " sequences of ",
                                    plan.context, " tokens, ", flags.compute.kv_type);
  line("weights", plan.weights, "mapped from the file");
  if (plan.towers != 0) line("towers", plan.towers, "vision and audio, mapped");
  if (plan.on_disk != 0) line("on disk", plan.on_disk, "per-layer embeddings, not counted: fetched by the row");
  line("sliding layers", plan.sliding_kv, sequences);
  line("global layers", plan.global_kv, sequences);
  line("activations", plan.scratch, "");
  line("program", plan.program, "");
  line("total", plan.total(), verdict(*model, flags, bare, plan, available));
  write_stdout(out.str());
}

}  // namespace

void define_plan(CLI::App& root, Action& action) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App& verb = add_verb(root, "plan", "Show what memory a model takes, and whether it fits",
                            "carat plan gemma4:e2b --ctx 32768 --kv-type bf16");
  add_model(verb, flags->model);
  add_mmproj(verb, flags->mmproj);
  verb.add_option("--parallel", flags->parallel, "Sequences at a time")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1024}))
      ->capture_default_str()
      ->type_name("N");
  verb.add_flag("--json", flags->is_json, "Print one JSON object");
  add_compute_flags(verb, flags->compute);
  set_model_action(verb, action, flags, run_plan);
}

}  // namespace carat
