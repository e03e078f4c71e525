// Decoding and encoding of every block type, in plain loops: the definition of each format.
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

// Encodes x into the whole blocks at out (out.size() == row_bytes(dtype, x.size())). Meant for finite x within the
// range of a 16-bit float (+-65504); any other value leaves its own block without meaning, never a fault.
// Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 become bit for bit what GGUF's reference encoder makes of them.
void quantize_row(DType dtype, std::span<const float> x, std::span<std::byte> out) noexcept;

// True for the types quantize_row knows: f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q6_k.
bool can_quantize(DType dtype);

}  // namespace carat
