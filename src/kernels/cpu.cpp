#include "kernels/cpu.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace carat {
namespace {

bool runs_here(const KernelTable& table) {
  return (table.needs & ~cpu_features()) == 0;
}

}  // namespace

const KernelTable& select_kernels(std::string_view name) {
  std::string_view source;
  if (name.empty()) {
    const char* from_environment = std::getenv("CARAT_ISA");
    if (from_environment != nullptr && *from_environment != '\0') {
      name = from_environment;
      source = "CARAT_ISA: ";
    }
  }
  const auto tables = all_kernels();
  if (name.empty()) return **std::ranges::find_if(tables, [](const KernelTable* table) { return runs_here(*table); });

  const auto found = std::ranges::find_if(tables, [&](const KernelTable* table) { return name == table->name; });
  if (found == tables.end()) {
    throw Error(ErrorKind::kBadInput,
                str(source, "no instruction set named \"", printable(name), "\"; there are: ", kernel_names()));
  }
  if (!runs_here(**found)) {
    throw Error(ErrorKind::kUnsupported,
                str(source, "this processor can't run the kernels \"", name, "\"; there are: ", kernel_names()));
  }
  return **found;
}

std::string kernel_names() {
  std::string names;
  for (const KernelTable* table : all_kernels()) {
    if (!names.empty()) names += ", ";
    names += table->name;
    if (!runs_here(*table)) names += " (not on this processor)";
  }
  return names;
}

}  // namespace carat
