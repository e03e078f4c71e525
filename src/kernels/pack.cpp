#include "kernels/pack.h"

#include <array>
#include <cassert>

#include "tensor/quantize.h"

namespace carat {

void unpack_panel(const KernelTable& kernels, DType dtype, const WeightRows& rows, std::size_t first_col,
                  std::size_t cols, float* panel, std::size_t panel_stride) {
  const UnpackF32 unpack = kernels.unpack_f32[static_cast<std::size_t>(dtype)];
  if (unpack != nullptr) {
    unpack(rows, first_col, cols, panel, panel_stride);
    return;
  }
  assert(cols <= kMaxUnpackCols);
  const DTypeInfo& info = dtype_info(dtype);
  const std::size_t offset = first_col / info.block_values * info.block_bytes;
  const std::size_t size = cols / info.block_values * info.block_bytes;
  std::array<float, kMaxUnpackCols> values{};
  for (std::size_t r = 0; r < kPanelRows; ++r) {
    if (r < rows.rows) {
      dequantize_row(dtype, {rows.first + r * rows.row_bytes + offset, size}, {values.data(), cols});
    } else {
      values.fill(0.0F);
    }
    for (std::size_t c = 0; c < cols; ++c) panel[c * panel_stride + r] = values[c];
  }
}

}  // namespace carat
