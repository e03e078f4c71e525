// KvCache: the keys and values of one sequence, layer by layer.
#pragma once

#include <cstddef>
#include <vector>

#include "decoder/config.h"
#include "decoder/page_pool.h"
#include "kernels/attention.h"

namespace carat {

struct KvCacheOptions {
  DType sliding_type = DType::kF16;  // kF32, kF16, kBF16 or kQ8_0, per kind of layer
  DType global_type = DType::kF16;
  std::size_t context = 0;  // most positions
  std::size_t chunk = 0;    // most tokens written before they are attended to
  std::size_t slack = 0;    // positions behind the window that sliding layers keep, so that a rewind finds them
};

// Global layers keep every position, sliding layers the window: blocks behind it are dropped. Layers that read another
// layer's keys own nothing. Blocks may be shared with other sequences; copying a KvCache shares all of them, and both
// copies may go on. Used by one thread at a time, with all who share its pool.
class KvCache {
 public:
  // config and pool must outlive this and its copies.
  KvCache(const DecoderConfig& config, const KvCacheOptions& options, PagePool& pool);

  // Throws Error(kBadInput) where keys and values of this model can't be held as `type`.
  static void require_type(const DecoderConfig& config, DType type);

  // The most bytes a sequence of the full context takes.
  static std::size_t bytes_needed(const DecoderConfig& config, const KvCacheOptions& options);

  // Makes positions [begin, end) writable, where the keys and values of [0, begin) are held as far as the window of
  // `begin` needs them; what lies further back is dropped. What stood behind `begin` is forgotten.
  // begin <= end <= options.context, end - begin <= options.chunk.
  // Throws Error(kOutOfMemory); positions before `begin` are as they were.
  void make_room(std::size_t begin, std::size_t end);

  // Pages of the layer whose keys and values layer `layer` reads.
  KvPages pages(std::size_t layer) const;

  // The first position that every sliding layer holds from there on; 0 where there are no sliding layers.
  std::size_t first_held() const;

  // The blocks of positions [page * kPageTokens, ...) of both kinds; null where they are not held.
  struct Blocks {
    KvBlockRef sliding;
    KvBlockRef global;
  };
  Blocks blocks(std::size_t page) const;
  // Takes over blocks that another sequence has filled. Those of an empty cache only, page after page.
  void adopt(const Blocks& blocks);
  // Drops everything.
  void clear();

  const KvCacheOptions& options() const { return options_; }

 private:
  // One block a page, all layers of the kind in it, one behind the other.
  struct Kind {
    std::size_t block_bytes = 0;
    std::vector<KvBlockRef> blocks;  // by page; null behind the window
  };

  Kind& kind_of(const LayerConfig& layer) { return layer.is_sliding ? sliding_ : global_; }
  void set_block(Kind& kind, std::size_t page, KvBlockRef block);
  void make_writable(Kind& kind, std::size_t page, std::size_t slot);
  void drop_before(std::size_t position);

  const DecoderConfig* config_;
  KvCacheOptions options_;
  PagePool* pool_;
  Kind sliding_, global_;
  std::vector<std::size_t> offsets_;            // by layer: where its page begins in a block
  std::vector<std::vector<std::byte*>> pages_;  // by layer and page
};

}  // namespace carat
