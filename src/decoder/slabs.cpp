#include "decoder/slabs.h"

#include <algorithm>

#include "base/error.h"
#include "base/memory.h"

namespace carat {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kSlabBytes = 16 * kHugePage;  // of one slab, about
constexpr std::size_t kSlabParts = 16;              // or this many where they are small

std::shared_ptr<const AlignedBuffer<std::byte>> allocate_slab(std::size_t size_bytes) {
  return std::make_shared<AlignedBuffer<std::byte>>(size_bytes, "key/value cache");
}

// Up to whole huge pages: what a buffer has beyond them is cleared by hand, and so takes memory from the start.
std::size_t slab_bytes(std::size_t parts, std::size_t part_bytes) {
  const std::size_t bytes = parts * part_bytes;
  return bytes < kHugePage ? bytes : (bytes + kHugePage - 1) / kHugePage * kHugePage;
}

}  // namespace

SlabPart Slabs::take(std::size_t size_bytes) {
  if (size_bytes == 0) return {};
  // From the back, where the next part of the latest slab is: neighbours share huge pages.
  const auto fits = std::find_if(free_.rbegin(), free_.rend(), [&](const auto& p) { return p.size() == size_bytes; });
  if (fits != free_.rend()) {
    SlabPart part = std::move(*fits);
    free_.erase(std::next(fits).base());  // the others stay in order
    return part;
  }
  std::size_t parts = std::clamp<std::size_t>(kSlabBytes / size_bytes, 1, kSlabParts);
  free_.reserve(free_.size() + parts - 1);
  std::shared_ptr<const AlignedBuffer<std::byte>> slab;
  if (parts > 1) {
    try {
      slab = allocate_slab(slab_bytes(parts, size_bytes));
    } catch (const Error&) {  // addresses are short: one block may still find room
      parts = 1;
    }
  }
  if (slab == nullptr) slab = allocate_slab(size_bytes);
  for (std::size_t i = parts - 1; i > 0; --i) free_.push_back({slab, slab->span().subspan(i * size_bytes, size_bytes)});
  return {slab, slab->span().first(size_bytes)};
}

void Slabs::give_back(SlabPart part) noexcept {
  drop_pages(part.bytes);
  try {
    free_.push_back(std::move(part));
  } catch (const std::bad_alloc&) {  // its addresses stay unused until the slab goes
  }
}

}  // namespace carat
