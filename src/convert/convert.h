// Conversion of a Hugging Face folder, of a model or of an assistant (drafter), to GGUF files, which llama.cpp reads
// too.
#pragma once

#include <filesystem>
#include <optional>

#include "base/progress.h"
#include "tensor/dtype.h"

namespace carat {

struct ConvertOptions {
  std::filesystem::path folder;  // config.json, safetensors; tokenizer and chat template where it has them
  std::filesystem::path output;
  // Where the vision and audio towers go, in llama.cpp's form of a projector file; empty: into the same file.
  std::filesystem::path projector{};
  bool has_towers = true;              // false: leave them out
  std::optional<DType> matrix_type{};  // f32, f16 or bf16; nothing: as each matrix is stored
};

// Streams the folder's tensors: memory holds the metadata and some megabytes of one tensor, whatever the model's size.
// Vectors become f32, matrices keep every bit unless another type is asked for. Each file appears under its name when
// it is whole. Throws Error: kNotFound, kBadFile naming what is missing or not known, kUnsupported.
void convert_to_gguf(const ConvertOptions& options, const Progress& progress = {});

}  // namespace carat
