#include "sampling/random.h"

#include <random>

namespace carat {

std::uint64_t fresh_seed() {
  std::random_device device;
  const std::uint64_t high = device();
  return (high << 32) | device();
}

}  // namespace carat
