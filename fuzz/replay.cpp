// The fuzz targets without libFuzzer, for the build server: every seed once, and then so many damaged ones, always
// alike.
//
//   fuzz_replay TARGET RUNS SEEDS...
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutator.h"
#include "fuzz_targets.h"

namespace {

std::vector<std::string> read_seeds(const std::filesystem::path& folder) {
  constexpr std::size_t kLargest = 65536;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);  // the same order everywhere
  std::vector<std::string> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    if (bytes.size() <= kLargest) seeds.push_back(std::move(bytes));
  }
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kArguments = 4;
  if (argc != kArguments) return 2;
  const auto* target = std::ranges::find(kFuzzTargets, std::string_view(argv[1]), &FuzzTarget::name);
  if (target == std::end(kFuzzTargets)) return 2;
  const std::vector<std::string> seeds = read_seeds(argv[3]);
  const auto run = [&](const std::string& bytes) {
    target->run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  };
  for (const std::string& seed : seeds) run(seed);
  carat::Mutator mutator(seeds, 1);
  const long runs = std::atol(argv[2]);
  for (long i = 0; i < runs && !seeds.empty(); ++i) run(mutator.mutant());
  std::printf("%zu seeds, %ld damaged ones\n", seeds.size(), runs);
  return seeds.empty() ? 1 : 0;
}
