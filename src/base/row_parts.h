// for_row_parts: a loop over the columns of rows, of which there may be few.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/index_range.h"
#include "base/thread_pool.h"

namespace carat {

// What a loop over the columns of a row is made of.
struct Columns {
  std::size_t count = 0;
  std::size_t step = 512;  // parts begin at multiples of it: what is made of them, a float for 32 of them at least,
                           // fills whole cache lines, so that threads don't take them from each other
  std::size_t work = 1;    // what is done with each, where converting a number is 1
};

// Calls body(rows, columns) so that every row's columns are met once: whole rows, or parts of all rows where these are
// fewer than threads. Of a few rows, each thread gets those whose number is nearest to its own, every time, and finds
// what it made of them in its own cache. body writes only what its columns own.
template <typename Body>
void for_row_parts(ThreadPool& pool, std::size_t rows, Columns columns, const Body& body) {
  constexpr std::size_t kFewRows = 8;
  constexpr std::size_t kLeastWork = 2048;  // less is done before another thread has begun
  const std::size_t cols = columns.count;
  if (rows > kFewRows) {
    pool.parallel_for(rows, [&](std::size_t row, std::size_t) { body(IndexRange{row, row + 1}, IndexRange{0, cols}); });
    return;
  }
  const std::size_t worth = std::clamp<std::size_t>(rows * cols * columns.work / kLeastWork, 1, pool.threads());
  if (rows >= worth) {
    pool.parallel_for(std::min(rows, worth), [&](std::size_t part, std::size_t) {
      body(IndexRange{rows * part / worth, rows * (part + 1) / worth}, IndexRange{0, cols});
    });
    return;
  }
  const std::size_t steps = (cols + columns.step - 1) / columns.step;
  const std::size_t parts = std::min(steps, worth);
  pool.parallel_for(parts, [&](std::size_t part, std::size_t) {
    const std::size_t first = steps * part / parts * columns.step;
    body(IndexRange{0, rows}, IndexRange{first, std::min(cols, steps * (part + 1) / parts * columns.step)});
  });
}

}  // namespace carat
