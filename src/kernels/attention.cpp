#include "kernels/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "kernels/coefficients.h"
#include "kernels/workspace.h"

namespace carat {
namespace {

// Queries (tokens x heads of a group) a tile holds at most: enough to pay for unpacking the keys.
constexpr std::size_t kMaxQueries = 64;

// Elements of keys that meet the queries at a time: as many as stay in the first-level cache while 64 queries pass.
constexpr std::size_t kPanelColumns = 256;

// Floats from row to row of queries, values and sums. Head sizes are powers of two: rows that far apart would all fall
// on the same few sets of the first-level cache, and products read a column of 64 rows at a time.
std::size_t padded(std::size_t head_dim) {
  return head_dim + kPanelRows;
}

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// What sums over keys with maximum `before` shrink by when the maximum becomes `now`.
float shrinking(float before, float now) {
  const float factor = std::exp(before - now);
  return factor < kExpSmallest ? 0.0F : factor;
}

void load_values(const KernelTable& kernels, const KvPages& kv, const std::byte* src, std::size_t n, float* out) {
  if (kv.dtype == DType::kF16) {
    kernels.from_f16(reinterpret_cast<const std::uint16_t*>(src), n, out);
  } else if (kv.dtype == DType::kBF16) {
    kernels.from_bf16(reinterpret_cast<const std::uint16_t*>(src), n, out);
  } else if (kv.dtype == DType::kQ8_0) {
    kernels.from_q8_0(src, n, out);
  } else {
    std::copy_n(reinterpret_cast<const float*>(src), n, out);
  }
}

}  // namespace

std::size_t Attention::partial_floats() const {
  return kMaxQueries * (padded(head_dim_) + 2);
}

Attention::Partial Attention::partial_at(float* data) const {
  float* max = data + kMaxQueries * padded(head_dim_);
  return {max, max + kMaxQueries, data};
}

void Attention::clear(const Partial& partial, std::size_t queries) const {
  std::fill_n(partial.max, queries, kMinusInfinity);
  std::fill_n(partial.sum, queries, 0.0F);
  std::fill_n(partial.out, queries * padded(head_dim_), 0.0F);
}

void Attention::operator()(MatView<const float> q, float scale, std::span<const KeySpan> spans,
                           std::span<const AttentionSegment> segments, MatView<float> out) {
  if (segments.empty()) return;
  head_dim_ = segments[0].kv.head_dim;
  group_ = q.cols() / head_dim_ / segments[0].kv.kv_heads;
  assert(group_ >= 1 && group_ <= kMaxQueries && head_dim_ % kPanelRows == 0);
  for (Workspace& w : workers_) {
    reserve(w.queries, kMaxQueries * padded(head_dim_));
    reserve(w.keys, kKeyTile * head_dim_);
    reserve(w.values, kKeyTile * padded(head_dim_));
    reserve(w.scores, kMaxQueries * kKeyTile);
    reserve(w.split, partial_floats());
    reserve(w.total, partial_floats());
  }
  plan(spans, segments, group_);

  const auto queries = [&](const Tile& tile) { return tile.rows * group_; };
  if (tiles_.size() >= 2 * pool_.threads()) {
    pool_.parallel_for(tiles_.size(), [&](std::size_t i, std::size_t worker) {
      const Tile& tile = tiles_[i];
      Workspace& w = workers_[worker];
      const Partial total = partial_at(w.total.data());
      gather_queries(q, scale, tile, w);
      clear(total, queries(tile));
      for (std::size_t split = tile.first_split; split < tile.end_split; ++split) {
        const Partial part = partial_at(w.split.data());
        attend_split(spans, tile, split, w, part);
        merge(part, queries(tile), total);
      }
      write(tile, total, out);
    });
    return;
  }

  // Few queries over a long past: the splits of a tile are made by several workers and merged in order afterwards.
  const std::size_t parts =
      tiles_.empty() ? 0 : tiles_.back().first_partial + tiles_.back().end_split - tiles_.back().first_split;
  reserve(partials_, parts * partial_floats());
  pool_.parallel_for(parts, [&](std::size_t part, std::size_t worker) {
    const auto after = std::ranges::upper_bound(tiles_, part, {}, &Tile::first_partial);
    const Tile& tile = *std::prev(after);
    gather_queries(q, scale, tile, workers_[worker]);
    attend_split(spans, tile, tile.first_split + part - tile.first_partial, workers_[worker],
                 partial_at(partials_.data() + part * partial_floats()));
  });
  pool_.parallel_for(tiles_.size(), [&](std::size_t i, std::size_t worker) {
    const Tile& tile = tiles_[i];
    const Partial total = partial_at(workers_[worker].total.data());
    clear(total, queries(tile));
    for (std::size_t split = tile.first_split; split < tile.end_split; ++split) {
      const std::size_t part = tile.first_partial + split - tile.first_split;
      merge(partial_at(partials_.data() + part * partial_floats()), queries(tile), total);
    }
    write(tile, total, out);
  });
}

void Attention::plan(std::span<const KeySpan> spans, std::span<const AttentionSegment> segments, std::size_t group) {
  tiles_.clear();
  std::size_t parts = 0;
  const std::size_t rows_per_tile = std::max<std::size_t>(1, kMaxQueries / group);
  for (const AttentionSegment& segment : segments) {
    for (std::size_t row = 0; row < segment.rows; row += rows_per_tile) {
      const std::size_t rows = std::min(rows_per_tile, segment.rows - row);
      std::size_t first = std::numeric_limits<std::size_t>::max();
      std::size_t end = 0;
      for (const KeySpan& span : spans.subspan(segment.first_row + row, rows)) {
        first = std::min(first, span.first);
        end = std::max(end, span.end);
      }
      const std::size_t first_split = first / kKeySplit;
      const std::size_t end_split = (end + kKeySplit - 1) / kKeySplit;
      for (std::size_t head = 0; head < segment.kv.kv_heads; ++head) {
        tiles_.push_back({&segment, head, segment.first_row + row, rows, first_split, end_split, parts});
        parts += end_split - first_split;
      }
    }
  }
}

void Attention::gather_queries(MatView<const float> q, float scale, const Tile& tile, Workspace& w) const {
  float* query = w.queries.data();
  for (std::size_t row = 0; row < tile.rows; ++row) {
    const float* src = q.row(tile.first_row + row).data() + tile.kv_head * group_ * head_dim_;
    for (std::size_t g = 0; g < group_; ++g) {
      std::copy_n(src + g * head_dim_, head_dim_, query);
      if (scale != 1.0F) kernels_.scale(scale, head_dim_, query);
      query += padded(head_dim_);
    }
  }
}

// Sixteen keys from `position` on: panel [head_dim][16].
void Attention::load_keys(const KvPages& kv, std::size_t position, std::size_t head, float* panel) const {
  const UnpackF32 unpack = kernels_.unpack_f32[static_cast<std::size_t>(kv.dtype)];
  const WeightRows keys{kv.key(position, head), kv.bytes(kv.key_width()), kPanelRows};
  if (kv.stored_pairs == 0) {
    unpack(keys, 0, head_dim_, panel, kPanelRows);
    return;
  }
  const WeightRows values{kv.value(position, head), kv.bytes(head_dim_), kPanelRows};
  unpack(values, 0, head_dim_, panel, kPanelRows);
  unpack(keys, 0, kv.stored_pairs, panel, kPanelRows);
  unpack(keys, kv.stored_pairs, kv.stored_pairs, panel + head_dim_ / 2 * kPanelRows, kPanelRows);
}

void Attention::attend_split(std::span<const KeySpan> spans, const Tile& tile, std::size_t split, Workspace& w,
                             const Partial& result) const {
  const KvPages& kv = tile.segment->kv;
  const std::size_t queries = tile.rows * group_;
  clear(result, queries);

  std::size_t tile_first = std::numeric_limits<std::size_t>::max();
  std::size_t tile_end = 0;
  for (const KeySpan& span : spans.subspan(tile.first_row, tile.rows)) {
    tile_first = std::min(tile_first, span.first);
    tile_end = std::max(tile_end, span.end);
  }
  const std::size_t begin = std::max(split * kKeySplit, tile_first / kKeyTile * kKeyTile);
  const std::size_t end = std::min((split + 1) * kKeySplit, tile_end);
  for (std::size_t key = begin; key < end; key += kKeyTile) {
    const std::size_t keys = std::min(kKeyTile, end - key);
    // scores[query, key] = q . k
    std::fill_n(w.scores.data(), queries * kKeyTile, 0.0F);
    for (std::size_t k = 0; k < keys; k += kPanelRows) {
      float* panel = w.keys.data() + k * head_dim_;
      load_keys(kv, key + k, tile.kv_head, panel);
      for (std::size_t d = 0; d < head_dim_; d += kPanelColumns) {
        kernels_.panel_gemm_f32(panel + d * kPanelRows, kPanelRows, std::min(kPanelColumns, head_dim_ - d),
                                w.queries.data() + d, padded(head_dim_), queries, w.scores.data() + k, kKeyTile);
      }
    }
    // Scores become weights exp(score - max); keys a row doesn't attend to become exact zeros.
    for (std::size_t i = 0; i < queries; ++i) {
      const KeySpan& span = spans[tile.first_row + i / group_];
      const std::size_t from = std::clamp(span.first, key, key + keys) - key;
      const std::size_t to = std::clamp(span.end, key, key + keys) - key;
      float* score = w.scores.data() + i * kKeyTile;
      if (from >= to) {
        std::fill_n(score, keys, 0.0F);
        continue;
      }
      std::fill_n(score, from, kMinusInfinity);
      std::fill(score + to, score + keys, kMinusInfinity);
      const float max = std::max(result.max[i], kernels_.max(score, keys));
      const float shrink = shrinking(result.max[i], max);
      result.max[i] = max;
      result.sum[i] = std::fma(result.sum[i], shrink, kernels_.exp_shifted(max, keys, score));
      if (shrink != 1.0F) kernels_.scale(shrink, head_dim_, result.out + i * padded(head_dim_));
    }
    // out[query] += weights . values
    for (std::size_t k = 0; k < keys; ++k) {
      load_values(kernels_, kv, kv.value(key + k, tile.kv_head), head_dim_, w.values.data() + k * padded(head_dim_));
    }
    for (std::size_t d = 0; d < head_dim_; d += kPanelRows) {
      kernels_.panel_gemm_f32(w.values.data() + d, padded(head_dim_), keys, w.scores.data(), kKeyTile, queries,
                              result.out + d, padded(head_dim_));
    }
  }
}

void Attention::merge(const Partial& part, std::size_t queries, const Partial& total) const {
  for (std::size_t i = 0; i < queries; ++i) {
    if (part.max[i] == kMinusInfinity) continue;  // no key of this split was attended to
    const float max = std::max(total.max[i], part.max[i]);
    const float keep = shrinking(total.max[i], max);
    const float take = shrinking(part.max[i], max);
    total.max[i] = max;
    total.sum[i] = std::fma(part.sum[i], take, total.sum[i] * keep);
    float* out = total.out + i * padded(head_dim_);
    kernels_.scale(keep, head_dim_, out);
    kernels_.scale_add(take, part.out + i * padded(head_dim_), head_dim_, out);
  }
}

void Attention::write(const Tile& tile, const Partial& total, MatView<float> out) const {
  for (std::size_t row = 0; row < tile.rows; ++row) {
    float* dst = out.row(tile.first_row + row).data() + tile.kv_head * group_ * head_dim_;
    for (std::size_t g = 0; g < group_; ++g) {
      const std::size_t i = row * group_ + g;
      std::copy_n(total.out + i * padded(head_dim_), head_dim_, dst + g * head_dim_);
      kernels_.scale(1.0F / total.sum[i], head_dim_, dst + g * head_dim_);
    }
  }
}

}  // namespace carat
