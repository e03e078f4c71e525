#include "decoder/page_pool.h"

#include <algorithm>

#include "base/error.h"

namespace carat {

PagePool::PagePool(std::size_t budget_bytes) : budget_bytes_(budget_bytes) {}

// A spare part of that size, or a new one; other spares go where the budget needs it.
SlabPart PagePool::take(std::size_t size_bytes) {
  std::vector<SlabPart>& spare = shelf_->spare;
  const auto fits = std::ranges::find(spare, size_bytes, &SlabPart::size);
  if (fits != spare.end()) {
    SlabPart part = std::move(*fits);
    *fits = std::move(spare.back());
    spare.pop_back();
    shelf_->spare_bytes -= size_bytes;
    return part;
  }
  while (!spare.empty() && shelf_->spare_bytes > budget_bytes_ - shelf_->used_bytes - size_bytes) {
    shelf_->spare_bytes -= spare.back().size();
    shelf_->slabs.give_back(std::move(spare.back()));
    spare.pop_back();
  }
  return shelf_->slabs.take(size_bytes);
}

KvBlockRef PagePool::allocate(std::size_t size_bytes) {
  const auto is_over = [&] { return size_bytes > budget_bytes_ || shelf_->used_bytes > budget_bytes_ - size_bytes; };
  while (is_over()) {
    if (reclaim_ && reclaim_(size_bytes)) continue;
    throw Error(ErrorKind::kOutOfMemory,
                str("the key/value cache is full: ", shelf_->used_bytes >> 20, " MiB of a budget of ",
                    budget_bytes_ >> 20, " MiB are in use, ", size_bytes >> 10, " KiB more are needed."));
  }
  auto block = std::make_unique<KvBlock>();
  block->memory = take(size_bytes);
  shelf_->used_bytes += size_bytes;
  return {block.release(), [shelf = shelf_](KvBlock* gone) noexcept {
            const std::unique_ptr<KvBlock> owner(gone);
            SlabPart& part = owner->memory;
            const std::size_t bytes = part.size();
            shelf->used_bytes -= bytes;
            if (bytes == 0) return;
            try {
              shelf->spare.push_back(std::move(part));
              shelf->spare_bytes += bytes;
            } catch (const std::bad_alloc&) {  // the spare list can't grow: the memory goes
              shelf->slabs.give_back(std::move(part));
            }
          }};
}

}  // namespace carat
