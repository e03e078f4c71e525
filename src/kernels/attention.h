// Attention: softmax(q K^T) V over keys and values that lie in pages.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/range_shares.h"
#include "base/thread_pool.h"
#include "base/view.h"
#include "kernels/kernel_table.h"

namespace carat {

// Keys are worked on in tiles of 64 and partial softmaxes merged every 256, both counted from position 0: what is
// summed in which order depends on positions alone, not on how a prompt was cut or how many threads there are.
inline constexpr std::size_t kKeyTile = 64;
inline constexpr std::size_t kKeySplit = 256;

// The keys and values of one sequence in one layer. A page holds kPageTokens positions:
// keys [kv_heads][kPageTokens][key_width], then values [kv_heads][kPageTokens][head_dim]. Position p lies in page
// (p / kPageTokens) % pages, which makes a short list a ring.
//
// Where a layer's keys are its values but for norm weight and rotation (K = V), only the elements that turn are stored
// of a key, those of the lower half and then their partners; the others are the value's, and the queries carry the norm
// weight of the keys.
inline constexpr std::size_t kPageTokens = 256;

struct KvPages {
  std::span<std::byte* const> pages;
  DType dtype = DType::kF16;
  std::size_t kv_heads = 0;
  std::size_t head_dim = 0;
  std::size_t stored_pairs = 0;  // pairs of elements stored of a key; 0: all of them

  std::size_t key_width() const { return stored_pairs == 0 ? head_dim : 2 * stored_pairs; }
  // Bytes of `width` elements.
  std::size_t bytes(std::size_t width) const {
    if (dtype == DType::kQ8_0) return width / 32 * 34;
    return width * (dtype == DType::kF32 ? 4 : 2);
  }
  std::size_t page_bytes() const { return kv_heads * kPageTokens * (bytes(key_width()) + bytes(head_dim)); }
  // Where the key, or the value, of a position and head lies.
  std::byte* key(std::size_t position, std::size_t head) const {
    return page(position) + slot(position, head) * bytes(key_width());
  }
  std::byte* value(std::size_t position, std::size_t head) const {
    return page(position) + kv_heads * kPageTokens * bytes(key_width()) + slot(position, head) * bytes(head_dim);
  }

 private:
  std::byte* page(std::size_t position) const { return pages[position / kPageTokens % pages.size()]; }
  static std::size_t slot(std::size_t position, std::size_t head) {
    return head * kPageTokens + position % kPageTokens;
  }
};

// The positions one row attends to: [first, end), not empty.
struct KeySpan {
  std::size_t first = 0;
  std::size_t end = 0;
};

// Consecutive rows of one sequence.
struct AttentionSegment {
  KvPages kv;
  std::size_t first_row = 0;
  std::size_t rows = 0;
};

class Attention {
 public:
  // kernels and pool must outlive this. Used by one thread at a time.
  Attention(const KernelTable& kernels, ThreadPool& pool)
      : kernels_(kernels), pool_(pool), workers_(pool.threads()), shares_(pool.threads()) {}

  // out[row, head] = sum over p in spans[row] of softmax_p(scale * q[row, head] . K[p, head / group]) V[p, head /
  // group] with group = heads / kv_heads. q, out: [rows, heads * head_dim]; out may be q. Segments cover the rows.
  void operator()(MatView<const float> q, float scale, std::span<const KeySpan> spans,
                  std::span<const AttentionSegment> segments, MatView<float> out);

 private:
  // A running softmax over some keys, for each query of a tile.
  struct Partial {
    float* max = nullptr;  // [queries]
    float* sum = nullptr;  // [queries]: of exp(score - max)
    float* out = nullptr;  // [queries, head_dim]: of exp(score - max) * value
  };
  // Queries that share keys: some tokens of a segment, all heads of a group.
  struct Tile {
    const AttentionSegment* segment = nullptr;
    std::size_t kv_head = 0;
    std::size_t first_row = 0;
    std::size_t rows = 0;
    std::size_t first_split = 0;  // the splits that hold any of its keys
    std::size_t end_split = 0;
    std::size_t first_partial = 0;  // where its splits' partials begin, when they are made apart
  };
  struct Workspace {
    const Tile* gathered = nullptr;  // whose queries are in `queries`
    AlignedBuffer<float> queries;    // [kMaxQueries][head_dim]
    AlignedBuffer<std::byte> keys;   // [kKeyTile][head_dim] of the cache's type: keys put together of two places
    AlignedBuffer<float> scores;     // [kMaxQueries][kKeyTile]
    AlignedBuffer<float> split;      // one Partial
    AlignedBuffer<float> total;      // one Partial
  };

  void plan(std::span<const KeySpan> spans, std::span<const AttentionSegment> segments, std::size_t group);
  void gather_queries(MatView<const float> q, float scale, const Tile& tile, Workspace& w) const;
  CacheRows keys_at(const KvPages& kv, std::size_t position, std::size_t head, std::size_t count, Workspace& w) const;
  void attend_split(std::span<const KeySpan> spans, const Tile& tile, std::size_t split, Workspace& w,
                    const Partial& result) const;
  void merge(const Partial& part, std::size_t queries, const Partial& total) const;
  void write(const Tile& tile, const Partial& total, MatView<float> out) const;

  // Calls body(i, workspace) for every i in [0, n), consecutive ones by the same worker.
  template <typename Body>
  void for_shares(std::size_t n, const Body& body);

  Partial partial_at(float* data) const;
  std::size_t partial_floats() const;
  void clear(const Partial& partial, std::size_t queries) const;

  const KernelTable& kernels_;
  ThreadPool& pool_;
  std::vector<Workspace> workers_;
  std::vector<Tile> tiles_;
  RangeShares shares_;             // of tiles, or of splits made apart, whose keys and values lie in a row
  AlignedBuffer<float> partials_;  // of splits made apart, tile by tile

  // Of the call at hand.
  std::size_t head_dim_ = 0;
  std::size_t group_ = 0;
  std::size_t most_queries_ = 0;  // of a tile
};

}  // namespace carat
