// Unpacking of weight rows into panels of floats for types without a kernel of their own.
#pragma once

#include <cstddef>

#include "kernels/kernel_table.h"

namespace carat {

// Decodes columns [first_col, first_col + cols) of rows into panel[col * panel_stride + row] (kernel_table.h,
// UnpackF32): by the table's kernel, or by tensor/quantize.h where it has none. Missing rows become zeros.
void unpack_panel(const KernelTable& kernels, DType dtype, const WeightRows& rows, std::size_t first_col,
                  std::size_t cols, float* panel, std::size_t panel_stride);

// The longest stretch of columns unpack_panel decodes at once; a multiple of every block length.
inline constexpr std::size_t kMaxUnpackCols = 768;

}  // namespace carat
