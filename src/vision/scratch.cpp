#include "vision/scratch.h"

#include <algorithm>

namespace carat {

VisionScratch::VisionScratch(const Compute& compute, const VisionConfig& config, std::size_t patches)
    : attention(std::in_place_type<FullAttention>, compute.kernels, compute.pool) {
  const auto buffer = [](std::size_t rows, std::size_t cols) { return AlignedBuffer<float>(rows * cols, "vision"); };
  const std::size_t chunk = std::min(patches, kPatchChunk);
  const std::size_t width = config.heads * config.head_dim;
  normed = buffer(patches, config.hidden);
  branch = buffer(patches, config.hidden);
  query = buffer(patches, width);
  key = buffer(patches, width);
  value = buffer(patches, width);
  clipped = buffer(chunk, std::max({config.hidden, width, config.intermediate}));
  gate = buffer(chunk, config.intermediate);
  up = buffer(chunk, config.intermediate);
  if (compute.matmul.is_by_pairs()) attention.emplace<PairAttention>(compute.kernels, compute.pool);
}

}  // namespace carat
