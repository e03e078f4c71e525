// The buffers of one picture's way through the vision tower.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "kernels/attention.h"
#include "vision/config.h"

namespace carat {

// Patches that go through a linear layer together: so few that their activations stay in the second-level cache while
// the weights pass by, so many that unpacking the weights costs nothing.
inline constexpr std::size_t kPatchChunk = 512;

struct VisionScratch {
  VisionScratch(const VisionConfig& config, std::size_t patches);

  // Keys and values in 32-bit floats, in the pages that attention reads. A head is filled up with zeros to a multiple
  // of a panel's rows.
  KvPages pages() const;

  std::size_t padded_head_dim;
  AlignedBuffer<float> normed;   // [patches, hidden]
  AlignedBuffer<float> branch;   // [patches, hidden]
  AlignedBuffer<float> query;    // [patches, heads * padded_head_dim], then attention's output
  AlignedBuffer<float> clipped;  // [chunk, hidden or intermediate]
  AlignedBuffer<float> key;      // [chunk, heads * head_dim], as are the next two
  AlignedBuffer<float> value;
  AlignedBuffer<float> head_rows;
  AlignedBuffer<float> gate;   // [chunk, intermediate]
  AlignedBuffer<float> up;     // [chunk, intermediate]
  std::vector<KeySpan> spans;  // [patches]: every patch sees every other

 private:
  std::size_t heads_;
  std::vector<AlignedBuffer<std::byte>> page_memory_;
  std::vector<std::byte*> pages_;
};

}  // namespace carat
