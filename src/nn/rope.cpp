#include "nn/rope.h"

#include <cmath>

namespace carat {

void fill_rope_row(std::size_t position, std::span<const float> frequencies, std::span<float> cos,
                   std::span<float> sin) {
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float angle = static_cast<float>(position) * frequencies[i];
    cos[i] = std::cos(angle);
    sin[i] = std::sin(angle);
  }
}

}  // namespace carat
