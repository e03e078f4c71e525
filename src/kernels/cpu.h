// Which instruction sets this processor has, which kernel tables carat was built with, and which of them is used.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/kernel_table.h"

namespace carat {

// What the running processor and its operating system offer: bits of CpuFeature.
std::uint32_t cpu_features();

// All tables built in, best first; the last one, "reference", needs nothing.
std::span<const KernelTable* const> all_kernels();

// The best table that runs here, or the one of that name. Throws Error(kBadInput) for an unknown name, and
// Error(kUnsupported) for one that this processor can't run. An empty name means the environment's CARAT_ISA, or
// else the best.
const KernelTable& select_kernels(std::string_view name = {});

// The names of all tables, with a mark at those that don't run here, for messages and `carat show --cpu`.
std::string kernel_names();

}  // namespace carat
