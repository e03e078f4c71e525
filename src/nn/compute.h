// Compute: what layers compute with, handed down through forward.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/thread_pool.h"
#include "kernels/attention.h"
#include "kernels/kernel_table.h"
#include "kernels/matmul.h"
#include "nn/profile.h"

namespace carat {

struct Compute {
  const KernelTable& kernels;
  ThreadPool& pool;
  Matmul& matmul;
  Attention& attention;
  Profile* profile = nullptr;  // where the time goes is added to, if there is one
};

// Calls body(row) for every row in [0, rows), several rows a task; body writes only what its row owns.
template <typename Body>
void for_rows(const Compute& compute, std::size_t rows, const Body& body) {
  constexpr std::size_t kRowsPerTask = 8;
  compute.pool.parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task, std::size_t) {
    const std::size_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (std::size_t row = task * kRowsPerTask; row < end; ++row) body(row);
  });
}

}  // namespace carat
