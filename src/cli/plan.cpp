// `carat plan`: what memory a model takes, part by part, by the arithmetic of those who allocate it.
#include <iomanip>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/media_files.h"
#include "cli/memory_plan.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace carat {
namespace {

struct PlanFlags {
  std::string model;
  std::string mmproj{};
  PlanRequest request{};
  bool is_json = false;
};

void run_plan(const PlanFlags& flags) {
  PlanRequest request = flags.request;
  request.mmproj = flags.mmproj;
  request.program_bytes = resident_memory().total;
  const auto model = Model::load(flags.model, {.mmproj = flags.mmproj});
  const MemoryPlan plan = plan_memory(*model, request);
  const std::uint64_t available = available_memory();
  if (flags.is_json) {
    const json::object out{{"ctx", plan.context},
                           {"parallel", plan.parallel},
                           {"kv_type", request.compute.kv_type},
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
                                    plan.context, " tokens, ", request.compute.kv_type);
  line("weights", plan.weights, "mapped from the file");
  if (plan.towers != 0) line("towers", plan.towers, "vision and audio, mapped");
  if (plan.on_disk != 0) line("on disk", plan.on_disk, "per-layer embeddings, not counted: fetched by the row");
  line("sliding layers", plan.sliding_kv, sequences);
  line("global layers", plan.global_kv, sequences);
  line("activations", plan.scratch, "");
  line("program", plan.program, "");
  line("total", plan.total(), verdict(*model, request, plan, available));
  write_stdout(out.str());
}

}  // namespace

void define_plan(Command root, Action& action) {
  auto flags = std::make_shared<PlanFlags>();
  const Command verb = root.add_verb("plan", "Show what memory a model takes, and whether it fits",
                                     "carat plan gemma4:e2b --ctx 32768 --kv-type bf16");
  add_model(verb, flags->model);
  add_mmproj(verb, flags->mmproj);
  add_count(verb, "--parallel", flags->request.parallel, 1, 1024, "Sequences at a time");
  verb.flag("--json", flags->is_json, "Print one JSON object");
  add_compute_flags(verb, flags->request.compute);
  set_model_action(verb, action, flags, run_plan);
}

}  // namespace carat
