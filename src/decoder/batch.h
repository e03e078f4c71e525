// Batch: the rows of one step through the decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "decoder/kv_cache.h"

namespace carat {

struct BatchRow {
  std::int32_t token = 0;
  std::size_t sequence = 0;  // index into Batch::caches
  std::size_t position = 0;  // in its sequence, from 0
  bool wants_logits = false;
};

// Rows of a sequence stand together, positions ascending by one; no two rows share sequence and position. Positions
// before a sequence's first row are already in its cache, which has room for all of its rows (KvCache::grow_to).
struct Batch {
  std::vector<BatchRow> rows;
  std::span<KvCache* const> caches;
};

}  // namespace carat
