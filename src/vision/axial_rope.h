// Rotary positions in two dimensions: half of a head turns by the column of its patch, half by the row.
#pragma once

#include <cstddef>
#include <span>

#include "base/buffer.h"
#include "nn/compute.h"
#include "vision/patches.h"

namespace carat {

class AxialRope {
 public:
  // Angles of coordinate c: c * theta^(-2i / (head_dim / 2)), i < head_dim / 4.
  // Reference: Gemma4VisionRotaryEmbedding.
  AxialRope(std::size_t head_dim, float theta, PatchGrid grid);

  // Turns one head of a patch in place: [head_dim]. Each half of it is turned by pairs (i, i + head_dim / 4).
  void apply(const KernelTable& kernels, std::size_t patch, std::span<float> head) const;

 private:
  std::size_t pairs_;
  std::size_t columns_;
  AlignedBuffer<float> cos_;  // [longer side of the grid, pairs]
  AlignedBuffer<float> sin_;
};

}  // namespace carat
