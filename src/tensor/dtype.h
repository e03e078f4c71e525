// One row per element type: its names, its number in GGUF files, how many values and bytes a block has.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tensor/dtype_id.h"

namespace carat {

struct DTypeInfo {
  DType dtype;
  std::string_view name;              // "q4_0": as users write it, and GGUF in lower case
  std::uint32_t gguf_id;              // ggml_type
  std::string_view safetensors_name;  // "BF16"; empty where safetensors has no such type
  std::uint32_t block_values;         // values a block decodes to; 1 for plain numbers
  std::uint32_t block_bytes;
};

const DTypeInfo& dtype_info(DType dtype);
std::optional<DType> dtype_from_gguf_id(std::uint32_t id);
std::optional<DType> dtype_from_safetensors_name(std::string_view name);
std::optional<DType> dtype_from_name(std::string_view name);  // lower or upper case

// Bytes of a row of n values; nullopt when n is not a whole number of blocks or the product overflows.
std::optional<std::uint64_t> row_bytes(DType dtype, std::uint64_t n);

}  // namespace carat
