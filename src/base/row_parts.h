// for_row_parts: a loop over the columns of rows, of which there may be few.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/thread_pool.h"

namespace carat {

// Calls body(row, first column, columns) so that every row's columns are met once: whole rows, or parts of them where
// there are fewer rows than threads and they are long. Parts begin at multiples of 64. body writes only what its
// columns own.
template <typename Body>
void for_row_parts(ThreadPool& pool, std::size_t rows, std::size_t cols, const Body& body) {
  constexpr std::size_t kLeastCols = 2048;  // fewer are done before another thread has begun
  constexpr std::size_t kStep = 64;
  const std::size_t parts = rows >= pool.threads() ? 1 : std::clamp<std::size_t>(cols / kLeastCols, 1, pool.threads());
  const std::size_t part_cols = (cols / parts + kStep - 1) / kStep * kStep;
  pool.parallel_for(rows * parts, [&](std::size_t i, std::size_t) {
    const std::size_t part = i % parts;
    const std::size_t first = std::min(cols, part * part_cols);
    const std::size_t end = part + 1 == parts ? cols : std::min(cols, first + part_cols);
    if (first < end) body(i / parts, first, end - first);
  });
}

}  // namespace carat
