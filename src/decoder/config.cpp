#include "decoder/config.h"

namespace carat {

std::size_t DecoderConfig::layers_that_matter_to_others() const {
  std::size_t count = layers.size();
  while (count > 0 && !layers[count - 1].owns_kv()) --count;
  return count;
}

}  // namespace carat
