#include "cli/error_details.h"

#include <string_view>
#include <thread>

#include "base/memory.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "kernels/cpu.h"

namespace carat {
namespace {

// "src/store/pull.cpp": without the folder in which it was built.
std::string_view path_in_tree(std::string_view path) {
  const std::size_t at = path.rfind("src/");
  return at == std::string_view::npos ? path : path.substr(at);
}

}  // namespace

std::string error_details(const Error& error) {
  return str("  origin    ", path_in_tree(error.origin().file_name()), ":", error.origin().line(), ", ",
             error.origin().function_name(), "\n  exit code ", exit_code(error), "\n  carat     ", version(),
             ", compiled by ", __VERSION__, "\n  machine   ", std::thread::hardware_concurrency(), " threads; ",
             available_memory() >> 20, " MiB of memory left; kernels: ", kernel_names());
}

}  // namespace carat
