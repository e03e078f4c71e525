// The table for AVX-512 (F, BW, DQ, VL) with VNNI. Compiled with the flags for these: it must not share inline
// functions with the rest of carat (see kernel_table.h), which the test `kernels/islands` checks.
#include "kernels/gemm_i8_avx512.h"
#include "kernels/loops_table.h"
#include "kernels/tables.h"

namespace carat {
namespace {

consteval KernelTable make_table() {
  KernelTable table = loops::make_table<Avx512>("avx512_vnni", kAvx2 | kAvx512 | kAvx512Vnni);
  table.panel_gemm_i8 = loops::panel_gemm_i8<Avx512>;
  return table;
}

}  // namespace

constinit const KernelTable avx512_vnni_kernels = make_table();

}  // namespace carat
