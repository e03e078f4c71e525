// The buffers of one picture's way through the vision tower.
#pragma once

#include <algorithm>
#include <cstddef>
#include <variant>

#include "base/buffer.h"
#include "kernels/full_attention.h"
#include "kernels/pair_attention.h"
#include "nn/compute.h"
#include "vision/config.h"

namespace carat {

// Patches that go through a linear layer together: so few that their activations stay in the second-level cache while
// the weights pass by, so many that unpacking the weights costs nothing.
inline constexpr std::size_t kPatchChunk = 512;

// Calls body(first, count) for such chunks.
template <typename Body>
void for_patch_chunks(std::size_t patches, const Body& body) {
  for (std::size_t first = 0; first < patches; first += kPatchChunk) {
    body(first, std::min(kPatchChunk, patches - first));
  }
}

struct VisionScratch {
  VisionScratch(const Compute& compute, const VisionConfig& config, std::size_t patches);

  AlignedBuffer<float> normed;  // [patches, hidden]
  AlignedBuffer<float> branch;  // [patches, hidden]
  AlignedBuffer<float> query;   // [patches, heads * head_dim], then attention's output
  AlignedBuffer<float> key;     // [patches, heads * head_dim], as is the next
  AlignedBuffer<float> value;
  AlignedBuffer<float> clipped;  // [chunk, hidden or intermediate]
  AlignedBuffer<float> gate;     // [chunk, intermediate]
  AlignedBuffer<float> up;       // [chunk, intermediate]

  // By pairs where products of floats are.
  std::variant<FullAttention, PairAttention> attention;
};

}  // namespace carat
