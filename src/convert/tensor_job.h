// TensorJob: one tensor of a file to be written, as what is to be done to the rows of a tensor that is at hand.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "checkpoint/gguf_writer.h"
#include "tensor/tensor.h"

namespace carat {

struct TensorJob {
  std::string name;
  DType dtype = DType::kF32;         // f32, f16 or bf16
  std::vector<std::uint64_t> shape;  // outermost first; as many values as the source has
  const Tensor* source = nullptr;    // null: the values are those of `values`
  std::vector<float> values{};       // for tensors that no source has; f32
  // Which row of the source becomes row i; null: the same.
  std::function<std::uint64_t(std::uint64_t)> source_row{};
  // What becomes of a row of the source; null: it stays as it is.
  std::function<void(std::span<float>)> edit{};
};

// Adds the descriptions of all tensors to the writer, then streams their values: memory holds some megabytes of one
// tensor at a time. Throws Error as GgufWriter and File.
void write_tensors(GgufWriter& writer, std::span<const TensorJob> jobs, const Progress& progress);

}  // namespace carat
