// The kernel tables, a file each. Only cpu_*.cpp, which list them, and tests need this.
#pragma once

#include "kernels/kernel_table.h"

namespace carat {

extern const KernelTable reference_kernels;
extern const KernelTable avx2_kernels;
extern const KernelTable avx512_vnni_kernels;
extern const KernelTable avx512_amx_kernels;
extern const KernelTable neon_dotprod_kernels;
extern const KernelTable neon_i8mm_kernels;

}  // namespace carat
