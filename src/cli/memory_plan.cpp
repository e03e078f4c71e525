#include "cli/memory_plan.h"

#include <algorithm>

#include "base/error.h"
#include "base/memory.h"
#include "checkpoint/gguf.h"
#include "cli/progress_bar.h"
#include "decoder/kv_cache.h"
#include "engine/session.h"
#include "engine/step_runner.h"

namespace carat {
namespace {

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

}  // namespace

MemoryPlan plan_memory(const Model& model, const PlanRequest& request) {
  const DecoderConfig& config = model.config().decoder;
  SessionOptions session = session_options(request.compute);
  if (session.context == 0) session.context = std::min<std::size_t>(config.context_length, 4096);
  MemoryPlan plan;
  plan.context = session.context;
  plan.parallel = request.parallel;
  for (const Tensor& tensor : model.checkpoint().tensors()) {
    (is_of_tower(tensor.name) ? plan.towers : plan.weights) += tensor.bytes.size();
  }
  if (!request.mmproj.empty()) plan.towers += tensor_bytes_of(Gguf(request.mmproj));
  if (const auto& table = model.weights().ple_table) {
    plan.on_disk = std::uint64_t{table->rows()} * table->row_bytes();
    plan.weights -= plan.on_disk;
  }
  plan.sliding_kv = request.parallel * kv_bytes(config, session, true);
  plan.global_kv = request.parallel * kv_bytes(config, session, false);
  // A server's engine has a row of logits for each sequence of a step.
  const std::size_t rows = std::min(request.parallel, StepRunner::kLogitRows);
  plan.scratch = Session::memory_needed(config, session).scratch_bytes + (rows - 1) * config.vocab * sizeof(float);
  plan.program = request.program_bytes + (model.has_tokenizer() ? kBytesPerToken * config.vocab : 0);
  return plan;
}

namespace {

// The longest context, in steps of 1024, that fits; 0 for none.
std::size_t longest_context(const Model& model, PlanRequest request, std::uint64_t available) {
  std::size_t context = std::min<std::size_t>(model.config().decoder.context_length, kMaxContext);
  for (; context >= 1024; context = context / 2 / 1024 * 1024) {
    request.compute.context = context;
    if (plan_memory(model, request).total() <= available) return context;
  }
  return 0;
}

}  // namespace

std::string verdict(const Model& model, const PlanRequest& request, const MemoryPlan& plan, std::uint64_t available) {
  if (plan.total() <= available) return str("fits: ", bytes_text(available), " are free");
  std::string advice;
  const std::size_t shorter = longest_context(model, request, available);
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

std::string memory_line(const Model& model, const PlanRequest& request) {
  const MemoryPlan plan = plan_memory(model, request);
  return str("memory: ", bytes_text(plan.weights + plan.towers), " of weights, ",
             bytes_text(plan.sliding_kv + plan.global_kv), " for ", plan.context, " tokens, ", bytes_text(plan.scratch),
             " of activations; ", verdict(model, request, plan, available_memory()), "\n");
}

}  // namespace carat
