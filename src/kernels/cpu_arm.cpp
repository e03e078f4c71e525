// The 64-bit Arm half of cpu.h.
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "kernels/cpu.h"
#include "kernels/tables.h"

namespace carat {
namespace {

constexpr const KernelTable* kTables[] = {&neon_i8mm_kernels, &neon_dotprod_kernels, &reference_kernels};

}  // namespace

std::uint32_t cpu_features() {
  std::uint32_t features = 0;
  if ((::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) features |= kNeonDotprod;
  if ((::getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0) features |= kNeonI8mm;
  return features;
}

std::span<const KernelTable* const> all_kernels() {
  return kTables;
}

}  // namespace carat
