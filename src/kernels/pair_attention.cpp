#include "kernels/pair_attention.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "kernels/running_softmax.h"
#include "kernels/workspace.h"

namespace carat {
namespace {

constexpr std::size_t kQueries = 64;  // worked on together
constexpr std::size_t kKeys = 128;    // scored at a time: scores and shares stay in the second-level cache
static_assert(kKeys % kPairRows == 0 && kKeys % kPairCols == 0);

}  // namespace

void PairAttention::operator()(MatView<const float> q, MatView<const float> k, MatView<const float> v,
                               std::size_t heads, MatView<float> out) {
  assert(kernels_.panel_gemm_pairs != nullptr);
  const std::size_t head_dim = q.cols() / heads;
  dim_ = round_up(head_dim, kPairRows);
  const std::size_t keys = round_up(k.rows(), kKeys);
  for (auto* buffer : {&key_high_, &key_low_, &value_high_, &value_low_}) reserve(*buffer, keys * dim_);
  for (Workspace& w : workers_) {
    reserve(w.panel, kKeys * dim_);
    reserve(w.query, 2 * kQueries * dim_);
    reserve(w.scores, kQueries * kKeys);
    reserve(w.share, 2 * kQueries * kKeys);
    reserve(w.out, kQueries * dim_);
  }
  for (std::size_t head = 0; head < heads; ++head) {
    const MatView<const float> head_q = q.col_range(head * head_dim, head_dim);
    const MatView<const float> head_k = k.col_range(head * head_dim, head_dim);
    const MatView<const float> head_v = v.col_range(head * head_dim, head_dim);
    const MatView<float> head_out = out.col_range(head * head_dim, head_dim);
    pool_.parallel_for(keys / kKeys, [&](std::size_t tile, std::size_t worker) {
      pack_keys(head_k, tile * kKeys, workers_[worker]);
      pack_values(head_v, tile * kKeys, workers_[worker]);
    });
    pool_.parallel_for(round_up(q.rows(), kQueries) / kQueries, [&](std::size_t tile, std::size_t worker) {
      const std::size_t first = tile * kQueries;
      const std::size_t count = std::min(kQueries, q.rows() - first);
      attend(head_q.row_range(first, count), k.rows(), workers_[worker], head_out.row_range(first, count));
    });
  }
}

void PairAttention::pack_keys(MatView<const float> k, std::size_t first, Workspace& w) {
  float* panel = w.panel.data();
  std::fill_n(panel, dim_ * kPanelRows, 0.0F);
  for (std::size_t key = first; key < std::min(first + kKeys, k.rows()); key += kPanelRows) {
    const WeightRows rows{reinterpret_cast<const std::byte*>(k.row(key).data()), k.stride() * sizeof(float),
                          std::min(kPanelRows, k.rows() - key)};
    kernels_.unpack_f32[static_cast<std::size_t>(DType::kF32)](rows, 0, k.cols(), panel, kPanelRows);
    kernels_.pack_pairs(panel, kPanelRows, dim_, key_high_.data() + key * dim_, key_low_.data() + key * dim_);
  }
}

void PairAttention::pack_values(MatView<const float> v, std::size_t first, Workspace& w) {
  // Zeros beyond the values there are, in both directions.
  const MatView<float> values(w.panel.data(), kKeys, dim_);
  for (std::size_t i = 0; i < kKeys; ++i) {
    const std::size_t count = first + i < v.rows() ? v.cols() : 0;
    if (count > 0) std::ranges::copy(v.row(first + i), values.row(i).begin());
    std::fill(values.row(i).begin() + static_cast<std::ptrdiff_t>(count), values.row(i).end(), 0.0F);
  }
  for (std::size_t d = 0; d < dim_; d += kPanelRows) {
    const std::size_t at = first * dim_ + d * kKeys;
    kernels_.pack_pairs(values.data() + d, dim_, kKeys, value_high_.data() + at, value_low_.data() + at);
  }
}

void PairAttention::attend(MatView<const float> q, std::size_t keys, Workspace& w, MatView<float> out) const {
  const std::size_t queries = q.rows();
  std::uint16_t* query_low = w.query.data() + kQueries * dim_;
  for (std::size_t i = 0; i < queries; ++i) {
    std::uint16_t* high = w.query.data() + i * dim_;
    std::uint16_t* low = query_low + i * dim_;
    kernels_.split_pairs(q.row(i).data(), q.cols(), high, low);
    std::fill(high + q.cols(), high + dim_, std::uint16_t{0});
    std::fill(low + q.cols(), low + dim_, std::uint16_t{0});
  }
  std::array<RunningSoftmax, kQueries> softmax;
  std::fill_n(w.out.data(), queries * dim_, 0.0F);

  std::uint16_t* share_low = w.share.data() + kQueries * kKeys;
  for (std::size_t key = 0; key < keys; key += kKeys) {
    const std::size_t count = std::min(kKeys, keys - key);
    const std::size_t padded = round_up(count, kPairRows);
    std::fill_n(w.scores.data(), queries * kKeys, 0.0F);
    for (std::size_t i = 0; i < padded; i += kPairRows) {
      const std::size_t at = (key + i) * dim_;
      kernels_.panel_gemm_pairs({key_high_.data() + at, key_low_.data() + at}, dim_, {w.query.data(), query_low, dim_},
                                queries, w.scores.data() + i, kKeys);
    }
    for (std::size_t i = 0; i < queries; ++i) {
      float* score = w.scores.data() + i * kKeys;
      const float shrink = softmax[i].weigh(kernels_, count, score);
      if (shrink != 1.0F) kernels_.scale(shrink, dim_, w.out.data() + i * dim_);
      std::fill(score + count, score + kKeys, 0.0F);
      kernels_.split_pairs(score, kKeys, w.share.data() + i * kKeys, share_low + i * kKeys);
    }
    for (std::size_t d = 0; d < dim_; d += kPairRows) {
      const std::size_t at = key * dim_ + d * kKeys;
      kernels_.panel_gemm_pairs({value_high_.data() + at, value_low_.data() + at}, kKeys,
                                {w.share.data(), share_low, kKeys}, queries, w.out.data() + d, dim_);
    }
  }
  for (std::size_t i = 0; i < queries; ++i) {
    std::copy_n(w.out.data() + i * dim_, out.cols(), out.row(i).data());
    kernels_.scale(1.0F / softmax[i].sum, out.cols(), out.row(i).data());
  }
}

}  // namespace carat
