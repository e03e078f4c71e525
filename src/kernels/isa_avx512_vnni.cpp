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

// Processors that have AMX gather quickly, and that leaves the port alone that moves bytes between lanes, which
// unpacking waits for. Others take longer to gather 16 numbers than for all the rest of a block (Zen 4, and those of
// Intel's that are guarded against gather data sampling).
struct Avx512Gathers : Avx512 {
  [[gnu::always_inline]] static I32 load_first_column(const Rows& rows, std::size_t offset) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i offsets = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(rows.stride)));
    return _mm512_i32gather_epi32(offsets, reinterpret_cast<const int*>(rows.quarter[0] + offset), 1);
  }
  [[gnu::always_inline]] static F32 load_scales(const Rows& rows) {
    return from_f16(bit_and(load_first_column(rows, 0), set1_i32(0xffff)));
  }
};

consteval KernelTable make_amx_table() {
  KernelTable table = make_table();
  table.name = "avx512_amx";
  table.needs |= kAmxInt8 | kAmxBf16;
  table.panel_gemm_i8 = loops::panel_gemm_i8_amx<Avx512>;
  table.panel_gemm_pairs = loops::panel_gemm_pairs<Avx512>;
  table.pack_pairs = loops::pack_pairs<Avx512>;
  table.split_pairs = loops::split_pairs<Avx512>;
  loops::set_small_block_gemvs<Avx512Gathers, loops::Avx512Dot>(table);
  return table;
}

}  // namespace

constinit const KernelTable avx512_vnni_kernels = make_table();
constinit const KernelTable avx512_amx_kernels = make_amx_table();

}  // namespace carat
