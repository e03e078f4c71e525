#include "kernels/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/coefficients.h"
#include "kernels/workspace.h"

namespace carat {
namespace {

// Queries (tokens x heads of a group) a tile holds at most: enough to pay for unpacking the keys.
constexpr std::size_t kMaxQueries = 64;

// Floats from row to row of queries and sums. Head sizes are powers of two: rows that far apart would all fall on the
// same few sets of the first-level cache, and products read a column of several rows at a time.
std::size_t padded(std::size_t head_dim) {
  return head_dim + 16;
}

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// What sums over keys with maximum `before` shrink by when the maximum becomes `now`.
float shrinking(float before, float now) {
  if (before == now) return 1.0F;
  const float factor = std::exp(before - now);
  return factor < kExpSmallest ? 0.0F : factor;
}

}  // namespace

std::size_t Attention::partial_floats() const {
  return most_queries_ * (padded(head_dim_) + 2);
}

Attention::Partial Attention::partial_at(float* data) const {
  float* max = data + most_queries_ * padded(head_dim_);
  return {max, max + most_queries_, data};
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
  assert(group_ >= 1 && group_ <= kMaxQueries && head_dim_ % 16 == 0);
  plan(spans, segments, group_);
  for (Workspace& w : workers_) {
    reserve(w.queries, most_queries_ * padded(head_dim_));
    reserve(w.scores, most_queries_ * kKeyTile);
    reserve(w.split, partial_floats());
    reserve(w.total, partial_floats());
    if (segments[0].kv.stored_pairs != 0) reserve(w.keys, kKeyTile * segments[0].kv.bytes(head_dim_));
  }

  const std::size_t parts =
      tiles_.empty() ? 0 : tiles_.back().first_partial + tiles_.back().end_split - tiles_.back().first_split;
  if (tiles_.size() >= 2 * pool_.threads() || parts == tiles_.size()) {
    for_shares(tiles_.size(), [&](std::size_t i, Workspace& w) {
      const Tile& tile = tiles_[i];
      const Partial total = partial_at(w.total.data());
      gather_queries(q, scale, tile, w);
      attend_split(spans, tile, tile.first_split, w, total);
      for (std::size_t split = tile.first_split + 1; split < tile.end_split; ++split) {
        const Partial part = partial_at(w.split.data());
        attend_split(spans, tile, split, w, part);
        merge(part, tile.rows * group_, total);
      }
      write(tile, total, out);
    });
    return;
  }

  // Few queries over a long past: the splits of a tile are made by several workers and merged in order afterwards.
  reserve(partials_, parts * partial_floats());
  const auto partial = [&](std::size_t part) { return partial_at(partials_.data() + part * partial_floats()); };
  for_shares(parts, [&](std::size_t part, Workspace& w) {
    const Tile& tile = *std::prev(std::ranges::upper_bound(tiles_, part, {}, &Tile::first_partial));
    if (std::exchange(w.gathered, &tile) != &tile) gather_queries(q, scale, tile, w);
    attend_split(spans, tile, tile.first_split + part - tile.first_partial, w, partial(part));
  });
  for_shares(tiles_.size(), [&](std::size_t i, Workspace&) {
    const Tile& tile = tiles_[i];
    const Partial total = partial(tile.first_partial);
    for (std::size_t split = 1; split < tile.end_split - tile.first_split; ++split) {
      merge(partial(tile.first_partial + split), tile.rows * group_, total);
    }
    write(tile, total, out);
  });
}

template <typename Body>
void Attention::for_shares(std::size_t n, const Body& body) {
  shares_.deal(n);
  pool_.parallel_for(std::min(n, pool_.threads()), [&](std::size_t share, std::size_t worker) {
    Workspace& w = workers_[worker];
    w.gathered = nullptr;
    for (IndexRange range = shares_.take(share); !range.empty(); range = shares_.take(share)) {
      for (std::size_t i = range.first; i < range.end; ++i) body(i, w);
    }
  });
}

void Attention::plan(std::span<const KeySpan> spans, std::span<const AttentionSegment> segments, std::size_t group) {
  tiles_.clear();
  most_queries_ = 0;
  std::size_t parts = 0;
  const std::size_t rows_per_tile = std::max<std::size_t>(1, kMaxQueries / group);
  for (const AttentionSegment& segment : segments) {
    for (std::size_t row = 0; row < segment.rows; row += rows_per_tile) {
      const std::size_t rows = std::min(rows_per_tile, segment.rows - row);
      most_queries_ = std::max(most_queries_, rows * group);
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

// Keys of consecutive positions of a tile. Those of K = V layers are put together in the workspace: the elements that
// turn from the keys, the others from the values.
CacheRows Attention::keys_at(const KvPages& kv, std::size_t position, std::size_t head, std::size_t count,
                             Workspace& w) const {
  const std::byte* const keys = kv.key(position, head);
  const std::byte* const values = kv.value(position, head);
  if (kv.stored_pairs == 0) return {keys, kv.bytes(head_dim_), count, values};

  const std::size_t row_bytes = kv.bytes(head_dim_);
  const std::size_t turning = kv.bytes(kv.stored_pairs);
  const auto copy_half = [&](const std::byte* key, const std::byte* value, std::byte* out) {
    std::memcpy(out, key, turning);
    std::memcpy(out + turning, value + turning, row_bytes / 2 - turning);
  };
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* const key = keys + i * 2 * turning;
    const std::byte* const value = values + i * row_bytes;
    std::byte* const out = w.keys.data() + i * row_bytes;
    copy_half(key, value, out);
    copy_half(key + turning, value + row_bytes / 2, out + row_bytes / 2);
  }
  return {w.keys.data(), row_bytes, count, w.keys.data()};
}

void Attention::attend_split(std::span<const KeySpan> spans, const Tile& tile, std::size_t split, Workspace& w,
                             const Partial& result) const {
  const KvPages& kv = tile.segment->kv;
  const auto type = static_cast<std::size_t>(kv.dtype);
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
    kernels_.dot_keys[type](keys_at(kv, key, tile.kv_head, keys, w), head_dim_, w.queries.data(), padded(head_dim_),
                            queries, w.scores.data(), kKeyTile);
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
    const std::byte* const values = kv.value(key, tile.kv_head);
    const std::byte* const next = key + keys < tile_end ? kv.key(key + keys, tile.kv_head) : values;
    kernels_.mix_values[type]({values, kv.bytes(head_dim_), keys, next}, head_dim_, w.scores.data(), kKeyTile, queries,
                              result.out, padded(head_dim_));
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
