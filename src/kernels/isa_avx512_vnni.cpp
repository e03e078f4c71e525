// The tables for AVX-512 (F, BW, DQ, VL) with VNNI, and for these with AMX. Compiled with the flags for these: it must
// not share inline functions with the rest of carat (see kernel_table.h), which the test `kernels/islands` checks.
#include "kernels/gemm_i8_amx.h"
#include "kernels/gemm_i8_avx512.h"
#include "kernels/gemm_pairs_amx.h"
#include "kernels/loops_gemv.h"
#include "kernels/loops_table.h"
#include "kernels/tables.h"

namespace carat {
namespace {

consteval KernelTable make_table() {
  KernelTable table = loops::make_table<Avx512>("avx512_vnni", kAvx2 | kAvx512 | kAvx512Vnni);
  table.panel_gemm_i8 = loops::panel_gemm_i8<Avx512>;
  loops::set_gemvs<Avx512, loops::Avx512Dot>(table);
  return table;
}

consteval KernelTable make_amx_table() {
  KernelTable table = make_table();
  table.name = "avx512_amx";
  table.needs |= kAmxInt8 | kAmxBf16;
  table.panel_gemm_i8 = loops::panel_gemm_i8_amx<Avx512>;
  table.panel_gemm_pairs = loops::panel_gemm_pairs<Avx512>;
  table.pack_pairs = loops::pack_pairs<Avx512>;
  table.split_pairs = loops::split_pairs<Avx512>;
  return table;
}

}  // namespace

constinit const KernelTable avx512_vnni_kernels = make_table();
constinit const KernelTable avx512_amx_kernels = make_amx_table();

}  // namespace carat
