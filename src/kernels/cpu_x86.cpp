// The x86-64 half of cpu.h.
#include <cpuid.h>

#include "kernels/cpu.h"
#include "kernels/tables.h"

namespace carat {
namespace {

constexpr const KernelTable* kTables[] = {&avx512_vnni_kernels, &avx2_kernels, &reference_kernels};

// __builtin_cpu_supports has no name for F16C in clang 14. Its registers are those of AVX, which it does ask about.
bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

}  // namespace

// __builtin_cpu_supports also asks (XGETBV) whether the operating system saves the wide registers.
std::uint32_t cpu_features() {
  std::uint32_t features = 0;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c()) features |= kAvx2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    features |= kAvx512;
    if (__builtin_cpu_supports("avx512vnni")) features |= kAvx512Vnni;
  }
  return features;
}

std::span<const KernelTable* const> all_kernels() {
  return kTables;
}

}  // namespace carat
