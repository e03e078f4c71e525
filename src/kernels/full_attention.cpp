#include "kernels/full_attention.h"

#include <algorithm>
#include <array>

#include "kernels/running_softmax.h"
#include "kernels/workspace.h"

namespace carat {
namespace {

// Queries worked on together: enough to pay for reading the keys. A multiple of the tokens that kernels take at a time.
constexpr std::size_t kQueries = 96;
// Keys scored at a time: scores stay in the second-level cache, and a panel of values in the first.
constexpr std::size_t kKeys = 256;
static_assert(kKeys % kPanelRows == 0);

// Floats from row to row. Blocks of keys and most head sizes are powers of two: rows that far apart would all fall on
// the same few sets of the first-level cache.
constexpr std::size_t kScoreStride = kKeys + kPanelRows;
std::size_t row_stride(std::size_t dim) {
  return dim + kPanelRows;
}

}  // namespace

void FullAttention::operator()(MatView<const float> q, MatView<const float> k, MatView<const float> v,
                               std::size_t heads, MatView<float> out) {
  const std::size_t dim = q.cols() / heads;
  const std::size_t value_dim = round_up(dim, kPanelRows);
  const std::size_t blocks = round_up(k.rows(), kKeys) / kKeys;
  const std::size_t tiles = round_up(q.rows(), kQueries) / kQueries;
  reserve(keys_, heads * blocks * kKeys * dim);
  reserve(values_, heads * blocks * kKeys * value_dim);
  for (Workspace& w : workers_) {
    reserve(w.query, kQueries * row_stride(dim));
    reserve(w.scores, kQueries * kScoreStride);
    reserve(w.out, kQueries * row_stride(value_dim));
  }
  const auto key_block = [&](std::size_t head, std::size_t block) {
    return keys_.data() + (head * blocks + block) * kKeys * dim;
  };
  const auto value_block = [&](std::size_t head, std::size_t block) {
    return values_.data() + (head * blocks + block) * kKeys * value_dim;
  };
  pool_.parallel_for(heads * blocks, [&](std::size_t i, std::size_t) {
    const std::size_t head = i / blocks;
    const std::size_t block = i % blocks;
    pack_keys(k.col_range(head * dim, dim), block * kKeys, key_block(head, block));
    pack_values(v.col_range(head * dim, dim), block * kKeys, value_block(head, block));
  });
  pool_.parallel_for(heads * tiles, [&](std::size_t i, std::size_t worker) {
    const std::size_t head = i / tiles;
    const std::size_t first = i % tiles * kQueries;
    const std::size_t count = std::min(kQueries, q.rows() - first);
    attend(q.row_range(first, count).col_range(head * dim, dim), k.rows(), key_block(head, 0), value_block(head, 0),
           workers_[worker], out.row_range(first, count).col_range(head * dim, dim));
  });
}

void FullAttention::pack_keys(MatView<const float> k, std::size_t first, float* panels) const {
  const UnpackF32 unpack = kernels_.unpack_f32[static_cast<std::size_t>(DType::kF32)];
  const std::size_t end = std::min(first + kKeys, k.rows());
  for (std::size_t key = first; key < end; key += kPanelRows) {
    const WeightRows rows{reinterpret_cast<const std::byte*>(k.row(key).data()), k.stride() * sizeof(float),
                          std::min(kPanelRows, end - key)};
    unpack(rows, 0, k.cols(), panels + (key - first) * k.cols(), kPanelRows);
  }
}

void FullAttention::pack_values(MatView<const float> v, std::size_t first, float* panels) const {
  const std::size_t end = std::min(first + kKeys, v.rows());
  for (std::size_t d = 0; d < v.cols(); d += kPanelRows) {
    const std::size_t count = std::min(kPanelRows, v.cols() - d);
    for (std::size_t key = first; key < end; ++key) {
      float* to = panels + (d * kKeys + (key - first) * kPanelRows);
      std::copy_n(v.row(key).data() + d, count, to);
      std::fill(to + count, to + kPanelRows, 0.0F);
    }
  }
}

void FullAttention::attend(MatView<const float> q, std::size_t keys, const float* key_panels, const float* value_panels,
                           Workspace& w, MatView<float> out) const {
  const std::size_t queries = q.rows();
  const std::size_t dim = q.cols();
  const std::size_t value_dim = round_up(dim, kPanelRows);
  const std::size_t query_stride = row_stride(dim);
  const std::size_t out_stride = row_stride(value_dim);
  for (std::size_t i = 0; i < queries; ++i) std::ranges::copy(q.row(i), w.query.data() + i * query_stride);
  std::fill_n(w.out.data(), queries * out_stride, 0.0F);
  std::array<RunningSoftmax, kQueries> softmax;

  for (std::size_t key = 0; key < keys; key += kKeys) {
    const std::size_t count = std::min(kKeys, keys - key);
    // scores[query, key] = q . k
    std::fill_n(w.scores.data(), queries * kScoreStride, 0.0F);
    for (std::size_t i = 0; i < count; i += kPanelRows) {
      kernels_.panel_gemm_f32(key_panels + (key + i) * dim, kPanelRows, dim, w.query.data(), query_stride, queries,
                              w.scores.data() + i, kScoreStride);
    }
    for (std::size_t i = 0; i < queries; ++i) {
      const float shrink = softmax[i].weigh(kernels_, count, w.scores.data() + i * kScoreStride);
      if (shrink != 1.0F) kernels_.scale(shrink, value_dim, w.out.data() + i * out_stride);
    }
    // out[query] += weights . values
    for (std::size_t d = 0; d < value_dim; d += kPanelRows) {
      kernels_.panel_gemm_f32(value_panels + key * value_dim + d * kKeys, kPanelRows, count, w.scores.data(),
                              kScoreStride, queries, w.out.data() + d, out_stride);
    }
  }
  for (std::size_t i = 0; i < queries; ++i) {
    std::copy_n(w.out.data() + i * out_stride, dim, out.row(i).data());
    kernels_.scale(1.0F / softmax[i].sum, dim, out.row(i).data());
  }
}

}  // namespace carat
