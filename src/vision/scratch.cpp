#include "vision/scratch.h"

#include <algorithm>

namespace carat {

VisionScratch::VisionScratch(const Compute& compute, const VisionConfig& config, std::size_t patches)
    : padded_head_dim((config.head_dim + kPanelRows - 1) / kPanelRows * kPanelRows), heads_(config.heads) {
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
  if (compute.matmul.is_by_pairs()) {
    by_pairs.emplace(compute.kernels, compute.pool);
    return;
  }
  padded_query = buffer(patches, config.heads * padded_head_dim);
  spans.assign(patches, KeySpan{0, patches});
  for (std::size_t first = 0; first < patches; first += kPageTokens) {
    page_memory_.emplace_back(pages().page_bytes(), "vision keys and values");
    pages_.push_back(page_memory_.back().data());
  }
}

KvPages VisionScratch::pages() const {
  KvPages pages;
  pages.pages = pages_;
  pages.dtype = DType::kF32;
  pages.kv_heads = heads_;
  pages.head_dim = padded_head_dim;
  return pages;
}

}  // namespace carat
