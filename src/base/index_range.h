// IndexRange: consecutive indices.
#pragma once

#include <cstddef>

namespace carat {

struct IndexRange {
  std::size_t first = 0;
  std::size_t end = 0;

  bool empty() const { return first == end; }
  std::size_t count() const { return end - first; }
};

}  // namespace carat
