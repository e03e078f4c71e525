// FullAttention: softmax(q K^T) V in which every row sees every row, in floats: for towers, on tables without products
// by pairs.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "base/view.h"
#include "kernels/kernel_table.h"

namespace carat {

// Keys and values are packed into panels once, for all heads; then tiles of queries meet them block by block, with a
// softmax that runs along (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"). Both products run
// at the speed of linear layers.
class FullAttention {
 public:
  // kernels and pool must outlive this. Used by one thread at a time.
  FullAttention(const KernelTable& kernels, ThreadPool& pool)
      : kernels_(kernels), pool_(pool), workers_(pool.threads()) {}

  // out[row, head] = sum over p of softmax_p(q[row, head] . k[p, head]) v[p, head]. All are [rows, heads * head_dim];
  // out may be q. A row's result depends neither on threads, nor on how many rows are worked on together, nor on the
  // instruction set.
  void operator()(MatView<const float> q, MatView<const float> k, MatView<const float> v, std::size_t heads,
                  MatView<float> out);

 private:
  struct Workspace {
    AlignedBuffer<float> query;   // [kQueries][query_stride]
    AlignedBuffer<float> scores;  // [kQueries][kScoreStride]
    AlignedBuffer<float> out;     // [kQueries][out_stride]
  };

  // A head's columns of k and v, keys [first, first + kKeys) of them.
  void pack_keys(MatView<const float> k, std::size_t first, float* panels) const;
  void pack_values(MatView<const float> v, std::size_t first, float* panels) const;
  // A tile of queries against all keys of a head.
  void attend(MatView<const float> q, std::size_t keys, const float* key_panels, const float* value_panels,
              Workspace& w, MatView<float> out) const;

  const KernelTable& kernels_;
  ThreadPool& pool_;
  std::vector<Workspace> workers_;
  AlignedBuffer<float> keys_;    // [heads][rows / 16] panels of 16 keys: [head_dim][16]
  AlignedBuffer<float> values_;  // [heads][rows / kKeys][value_dim / 16] panels of 16 components: [kKeys][16]
};

}  // namespace carat
