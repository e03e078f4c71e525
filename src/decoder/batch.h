// Batch: the rows of one step through the decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "decoder/kv_cache.h"

namespace carat {

// The positions of one picture in its sequence: [first, end); empty for anything else.
struct ImageBlock {
  std::size_t first = 0;
  std::size_t end = 0;
};

struct BatchRow {
  std::int32_t token = 0;
  std::size_t sequence = 0;  // index into Batch::caches
  std::size_t position = 0;  // in its sequence, from 0
  bool wants_logits = false;
  // [hidden]: stands in for the token's embedding where a picture or a sound is; null for text. It is not scaled, and
  // its per-layer input takes the token part of kPadToken (Gemma4Model.forward: placeholders become the pad token).
  const float* soft_row = nullptr;
  // The picture the row belongs to, for models whose pictures are seen whole (DecoderConfig::image_attention); all of
  // its rows are in one batch.
  ImageBlock image{};
};

inline constexpr std::int32_t kPadToken = 0;  // pad_token_id of the whole family

// Rows of a sequence stand together, positions ascending by one; no two rows share sequence and position. Positions
// before a sequence's first row are already in its cache, which has room for all of its rows (KvCache::make_room).
struct Batch {
  std::vector<BatchRow> rows;
  std::span<KvCache* const> caches;
};

}  // namespace carat
