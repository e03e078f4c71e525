#include "decoder/step.h"

#include <algorithm>
#include <utility>

#include "nn/rope.h"

namespace carat {
namespace {

RopeRows fill_rope(const Compute& compute, std::span<const BatchRow> rows, std::span<const float> frequencies,
                   const AlignedBuffer<float>& cos_buffer, const AlignedBuffer<float>& sin_buffer) {
  const MatView<float> cos = cos_buffer.mat(rows.size(), frequencies.size());
  const MatView<float> sin = sin_buffer.mat(rows.size(), frequencies.size());
  for_rows(compute, rows.size(),
           [&](std::size_t row) { fill_rope_row(rows[row].position, frequencies, cos.row(row), sin.row(row)); });
  return {cos, sin};
}

// The keys a row sees on sliding layers: `window` of them, itself included (masking_utils.py: key > query - window),
// and those of its picture (create_masks_for_vision_model; kWhole: Gemma4UnifiedModel.forward).
KeySpan sliding_span(const DecoderConfig& config, const BatchRow& row) {
  const std::size_t end = row.position + 1;
  KeySpan span{end - std::min(end, config.window), end};
  if (row.image.end == 0 || config.image_attention == ImageAttention::kCausal) return span;
  span.end = std::max(span.end, row.image.end);
  if (config.image_attention == ImageAttention::kWhole) span.first = std::min(span.first, row.image.first);
  return span;
}

KeySpan global_span(const DecoderConfig& config, const BatchRow& row) {
  const bool is_whole = config.image_attention == ImageAttention::kWhole;
  return {0, std::max(row.position + 1, is_whole ? row.image.end : 0)};
}

}  // namespace

Step::Step(const Compute& compute, const DecoderConfig& config, std::span<const LayerWeights> kv_layers,
           std::vector<BatchRow> batch_rows, std::span<KvCache* const> caches, Scratch& scratch)
    : key_layers(kv_layers),
      rows(std::move(batch_rows)),
      rope_sliding(fill_rope(compute, rows, config.rope_sliding, scratch.cos_sliding, scratch.sin_sliding)),
      rope_global(fill_rope(compute, rows, config.rope_global, scratch.cos_global, scratch.sin_global)) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sliding_spans.push_back(sliding_span(config, rows[i]));
    global_spans.push_back(global_span(config, rows[i]));
    if (i == 0 || rows[i].sequence != rows[i - 1].sequence) sequences.push_back({caches[rows[i].sequence], i, 0});
    ++sequences.back().rows;
  }
}

}  // namespace carat
