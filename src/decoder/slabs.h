// Slabs: memory for blocks of the key/value cache, several side by side.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/buffer.h"

namespace carat {

// A part of a slab, which lives as long as any of its parts.
struct SlabPart {
  std::shared_ptr<const AlignedBuffer<std::byte>> slab;
  std::span<std::byte> bytes;

  std::byte* data() const { return bytes.data(); }
  std::size_t size() const { return bytes.size(); }
};

// A block alone is often smaller than the kernel's huge pages of 2 MiB or ends in the midst of one, and attention to a
// long past then waits for the translation of addresses. Blocks of one size therefore lie side by side. What is given
// back takes no memory, only addresses. Used by one thread at a time.
class Slabs {
 public:
  // Its bytes are zero or whatever they were. Throws Error(kOutOfMemory).
  SlabPart take(std::size_t size_bytes);
  void give_back(SlabPart part) noexcept;

 private:
  std::vector<SlabPart> free_;  // hold no pages but those that they share with a neighbour
};

}  // namespace carat
