// The x86-64 half of cpu.h.
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu.h"
#include "kernels/tables.h"

namespace carat {
namespace {

constexpr const KernelTable* kTables[] = {&avx512_amx_kernels, &avx512_vnni_kernels, &avx2_kernels, &reference_kernels};

// __builtin_cpu_supports has no name for F16C in clang 14. Its registers are those of AVX, which it does ask about.
bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// Linux lets a process use tiles once it has asked (arch_prctl(2), ARCH_REQ_XCOMP_PERM), since they make what is saved
// of a thread much larger; it refuses where the processor or the kernel has none.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  static const bool is_allowed = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return is_allowed;
}

std::uint32_t amx_features() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kBf16Bit = 1U << 22;
  constexpr unsigned kTileBit = 1U << 24;
  constexpr unsigned kInt8Bit = 1U << 25;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & kTileBit) == 0 || !may_use_tiles()) return 0;
  std::uint32_t features = 0;
  if ((edx & kInt8Bit) != 0) features |= kAmxInt8;
  if ((edx & kBf16Bit) != 0 && __builtin_cpu_supports("avx512bf16")) features |= kAmxBf16;
  return features;
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
    features |= amx_features();
  }
  return features;
}

std::span<const KernelTable* const> all_kernels() {
  return kTables;
}

}  // namespace carat
