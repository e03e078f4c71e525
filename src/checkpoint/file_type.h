// general.file_type: GGUF's number for what most of a file's matrices are, which programs show.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace carat {

inline constexpr std::uint32_t kGgufQuantizationVersion = 2;

// Source: llama.h, enum llama_ftype.
constexpr std::uint32_t gguf_file_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kQ4_0:
      return 2;
    case DType::kQ4_1:
      return 3;
    case DType::kQ8_0:
      return 7;
    case DType::kQ5_0:
      return 8;
    case DType::kQ5_1:
      return 9;
    case DType::kQ2_K:
      return 10;
    case DType::kQ3_K:
      return 12;
    case DType::kQ4_K:
      return 15;
    case DType::kQ5_K:
      return 17;
    case DType::kQ6_K:
      return 18;
    case DType::kIQ4_NL:
      return 25;
    case DType::kBF16:
      return 32;
    case DType::kMXFP4:
      return 38;
    default:
      return 1024;  // guessed: readers look at the tensors
  }
}

}  // namespace carat
