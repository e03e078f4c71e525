// Decoding of every block type into floats, in plain loops: the definition of each format.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/dtype.h"

namespace carat {

// Decodes out.size() values from the whole blocks at src (src.size() == row_bytes(dtype, out.size())).
// Any block is decoded without a fault: scales may be NaN or infinite, codes of any value.
// Source of the formulas: the GGUF block definitions (ggml-common.h, gguf-py quants.py), restated in blocks.h.
void dequantize_row(DType dtype, std::span<const std::byte> src, std::span<float> out) noexcept;

// True for the types dequantize_row knows: floats and all quantised blocks, not the integers.
bool can_dequantize(DType dtype);

}  // namespace carat
