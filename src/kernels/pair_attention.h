// PairAttention: softmax(q K^T) V in which every row sees every row, with both products by pairs of bf16
// (kernel_table.h): for towers, on tables that have such products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "base/view.h"
#include "kernels/kernel_table.h"

namespace carat {

class PairAttention {
 public:
  // kernels (which have products by pairs) and pool must outlive this. Used by one thread at a time.
  PairAttention(const KernelTable& kernels, ThreadPool& pool)
      : kernels_(kernels), pool_(pool), workers_(pool.threads()) {}

  // out[row, head] = sum over p of softmax_p(q[row, head] . k[p, head]) v[p, head]. All are [rows, heads * head_dim];
  // out may be q. A row's result depends neither on threads nor on how many rows are worked on together.
  void operator()(MatView<const float> q, MatView<const float> k, MatView<const float> v, std::size_t heads,
                  MatView<float> out);

 private:
  struct Workspace {
    AlignedBuffer<float> panel;          // [head_dim][16], of keys; or [kKeys][head_dim] of values
    AlignedBuffer<std::uint16_t> query;  // [2][kQueries][head_dim]: high, then low
    AlignedBuffer<float> scores;         // [kQueries][kKeys]
    AlignedBuffer<std::uint16_t> share;  // [2][kQueries][kKeys]: what softmax gives each key
    AlignedBuffer<float> out;            // [kQueries][head_dim]
  };

  void pack_keys(MatView<const float> k, std::size_t first, Workspace& w);
  void pack_values(MatView<const float> v, std::size_t first, Workspace& w);
  void attend(MatView<const float> q, std::size_t rows, Workspace& w, MatView<float> out) const;

  const KernelTable& kernels_;
  ThreadPool& pool_;
  std::vector<Workspace> workers_;
  std::size_t dim_ = 0;  // head_dim, filled up to a multiple of a panel's rows and columns

  // Of the head at hand, as panels.
  AlignedBuffer<std::uint16_t> key_high_;  // [rows / 32] panels of 32 keys, dim_ columns
  AlignedBuffer<std::uint16_t> key_low_;
  AlignedBuffer<std::uint16_t> value_high_;  // [rows / kKeys][dim_ / 32] panels of 32 components, kKeys columns
  AlignedBuffer<std::uint16_t> value_low_;
};

}  // namespace carat
