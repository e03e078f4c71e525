// The table for AVX2 with FMA and F16C. Compiled with the flags for these: it must not share inline functions with the
// rest of carat (see kernel_table.h), which the test `kernels/islands` checks.
#include "kernels/gemm_i8_avx2.h"
#include "kernels/loops_gemv.h"
#include "kernels/loops_table.h"
#include "kernels/tables.h"

namespace carat {
namespace {

consteval KernelTable make_table() {
  KernelTable table = loops::make_table<Avx2>("avx2", kAvx2);
  table.panel_gemm_i8 = loops::panel_gemm_i8<Avx2>;
  loops::set_gemvs<Avx2, loops::Avx2Dot>(table);
  return table;
}

}  // namespace

constinit const KernelTable avx2_kernels = make_table();

}  // namespace carat
