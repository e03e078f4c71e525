// cpu.h for processors without tables of their own.
#include "kernels/cpu.h"
#include "kernels/tables.h"

namespace carat {
namespace {

constexpr const KernelTable* kTables[] = {&reference_kernels};

}  // namespace

std::uint32_t cpu_features() {
  return 0;
}

std::span<const KernelTable* const> all_kernels() {
  return kTables;
}

}  // namespace carat
