// The table for 64-bit Arm with the dot product extension (Armv8.2 and later). Compiled with the flags for it: it must
// not share inline functions with the rest of carat (see kernel_table.h), which the test `kernels/islands` checks.
#include "kernels/gemm_i8_neon_dotprod.h"
#include "kernels/loops_gemv.h"
#include "kernels/loops_table.h"
#include "kernels/tables.h"

namespace carat {
namespace {

void panel_gemm_i8(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                   std::size_t tokens, float* acc, std::size_t acc_stride) {
  loops::gemm_i8_by_blocks<NeonDotprod, loops::DotprodBlock>(format, panel, cols, x, tokens, acc, acc_stride);
}

consteval KernelTable make_table() {
  KernelTable table = loops::make_table<NeonDotprod>("neon_dotprod", kNeonDotprod);
  table.panel_gemm_i8 = panel_gemm_i8;
  loops::set_gemvs<NeonDotprod, loops::NeonDotprodDot>(table);
  return table;
}

}  // namespace

constinit const KernelTable neon_dotprod_kernels = make_table();

}  // namespace carat
