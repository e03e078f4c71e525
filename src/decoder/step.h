// Step: what every layer of one pass needs to know of its rows, worked out once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/view.h"
#include "decoder/batch.h"
#include "decoder/config.h"
#include "decoder/scratch.h"
#include "decoder/weights.h"
#include "nn/compute.h"

namespace carat {

// Rows of one sequence within the batch.
struct SequenceRows {
  KvCache* cache = nullptr;
  std::size_t first_row = 0;
  std::size_t rows = 0;
};

// Rotation of each row, for one kind of layer.
struct RopeRows {
  MatView<const float> cos;  // [rows, pairs]
  MatView<const float> sin;
};

struct Step {
  // Fills the rope buffers of scratch, which the views here then point into.
  // kv_layers: those of the decoder whose keys the caches hold; they must outlive this.
  Step(const Compute& compute, const DecoderConfig& config, std::span<const LayerWeights> kv_layers,
       std::vector<BatchRow> batch_rows, std::span<KvCache* const> caches, Scratch& scratch);

  std::span<const LayerWeights> key_layers;
  std::vector<BatchRow> rows;
  std::vector<SequenceRows> sequences;
  std::vector<KeySpan> sliding_spans;  // per row
  std::vector<KeySpan> global_spans;
  RopeRows rope_sliding;
  RopeRows rope_global;

  const std::vector<KeySpan>& spans_of(const LayerConfig& layer) const {
    return layer.is_sliding ? sliding_spans : global_spans;
  }
  const RopeRows& rope_of(const LayerConfig& layer) const { return layer.is_sliding ? rope_sliding : rope_global; }
};

}  // namespace carat
