// PagePool: memory for keys and values, in blocks that sequences share, under one budget.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "decoder/slabs.h"

namespace carat {

// The pages of all layers of one kind (sliding, or global) that hold the same kPageTokens positions.
//
// Slots below `filled` are written and never change, so any number of sequences may read them. A sequence that has read
// them all may write the next one: it appends, and nobody who shares the block sees more than it saw. Who stands
// before slots that another has written takes a copy first (KvCache::make_room).
struct KvBlock {
  SlabPart memory;
  std::size_t filled = 0;
};

using KvBlockRef = std::shared_ptr<KvBlock>;

// Used by one thread at a time, as are the blocks.
class PagePool {
 public:
  explicit PagePool(std::size_t budget_bytes = std::numeric_limits<std::size_t>::max());

  // A block with nothing filled; its bytes are whatever they were. It returns to the pool when its last holder drops
  // it, and may outlive the pool. Throws Error(kOutOfMemory) when the budget or the machine's memory is used up.
  KvBlockRef allocate(std::size_t size_bytes);

  // Asked for `size_bytes` before allocate refuses: gives up blocks that somebody holds in reserve. Returns false when
  // there are none left.
  void set_reclaim(std::function<bool(std::size_t size_bytes)> reclaim) { reclaim_ = std::move(reclaim); }

  // Asked by release(): gives up that very block where it is held in reserve.
  void set_release(std::function<void(const KvBlock& block)> release) { release_ = std::move(release); }
  // For a sequence that has to write to a block it shares, and finds no memory for a copy.
  void release(const KvBlock& block) const {
    if (release_) release_(block);
  }

  std::size_t budget_bytes() const { return budget_bytes_; }
  std::size_t used_bytes() const { return shelf_->used_bytes; }

 private:
  // What blocks come back to; they keep it alive.
  struct Shelf {
    std::size_t used_bytes = 0;
    std::size_t spare_bytes = 0;
    std::vector<SlabPart> spare;
    Slabs slabs;
  };

  SlabPart take(std::size_t size_bytes);

  std::size_t budget_bytes_;
  std::function<bool(std::size_t)> reclaim_;
  std::function<void(const KvBlock&)> release_;
  std::shared_ptr<Shelf> shelf_ = std::make_shared<Shelf>();
};

}  // namespace carat
