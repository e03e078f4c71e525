// Quantisation of a GGUF model: every tensor gets the type that a recipe says, streamed from file to file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/progress.h"
#include "quantize/recipe.h"

namespace carat {

struct QuantizeOptions {
  std::filesystem::path input;  // GGUF, of f32, f16 or bf16 for best results
  std::filesystem::path output;
  std::string recipe;
  std::vector<TypeRule> rules{};
  bool is_pure = false;
  std::filesystem::path importance{};  // file of `carat imatrix`; empty: all columns count alike
  std::size_t threads = 0;             // 0: ThreadPool::physical_cores()
};

struct QuantizedTensor {
  std::string name;
  DType from;
  DType to;
  DType wanted;  // other than `to` where the rows are no whole blocks of it
  std::uint64_t cols;
  std::uint64_t bytes_before;
  std::uint64_t bytes_after;
};

// Memory: some tens of megabytes, whatever the model's size; the result is the same for any number of threads. The file
// appears under its name when it is whole. Throws Error: kNotFound, kBadInput, kBadFile where a value is not finite.
std::vector<QuantizedTensor> quantize_gguf(const QuantizeOptions& options, const Progress& progress = {});

}  // namespace carat
