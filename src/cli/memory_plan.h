// MemoryPlan: what memory a model takes, part by part, by the arithmetic of those who allocate it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cli/options.h"
#include "model/model.h"

namespace carat {

struct PlanRequest {
  ComputeFlags compute{};
  std::string mmproj{};
  std::size_t parallel = 1;  // sequences
  // What the program takes before it has loaded anything, code and libraries: the process itself tells. Bytes.
  std::uint64_t program_bytes = 0;
};

// All in bytes.
struct MemoryPlan {
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

// Throws Error as Gguf for a projector that can't be read.
MemoryPlan plan_memory(const Model& model, const PlanRequest& request);

// Whether it fits into what is available, in words, with what would help where it does not.
std::string verdict(const Model& model, const PlanRequest& request, const MemoryPlan& plan, std::uint64_t available);

// "memory: 2.4 GB of weights, 31.0 MB for 4096 tokens, ...; fits: 17.1 GB are free": told before a model is run.
std::string memory_line(const Model& model, const PlanRequest& request);

}  // namespace carat
