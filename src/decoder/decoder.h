// Decoder: token ids to hidden states, hidden states to logits.
#pragma once

#include <functional>

#include "base/view.h"
#include "decoder/batch.h"
#include "decoder/config.h"
#include "decoder/scratch.h"
#include "decoder/step.h"
#include "decoder/weights.h"
#include "nn/compute.h"
#include "nn/trace.h"

namespace carat {

class Decoder {
 public:
  // config and weights must outlive this. Holds no state of its own: what changes is in the caches and in scratch.
  Decoder(const DecoderConfig& config, const DecoderWeights& weights) : config_(config), weights_(weights) {}

  // Runs the batch through all layers, writing its keys and values to the caches. Returns the final-normed hidden
  // states [wanted, hidden] of the rows that want logits, in their order; in scratch, valid until the next call.
  // Rows that want none stop at the last layer that makes keys and values: what lies above can't change others.
  // batch.rows.size() <= scratch.max_rows(). trace may be null. should_stop, if given, is asked before each layer; when
  // it says so, Error(kCancelled): keys and values before the batch's rows are as they were, the batch can be run
  // again.
  MatView<const float> forward(const Compute& compute, const Batch& batch, Scratch& scratch, Trace* trace,
                               const std::function<bool()>& should_stop = {}) const;

  // h = embedding[token] * scale, or the soft row: [rows, hidden].
  void embed(const Compute& compute, std::span<const BatchRow> rows, MatView<float> h) const;

  // out = cap * tanh(output hidden / cap). hidden: [rows, hidden], out: [rows, vocab].
  void logits(const Compute& compute, MatView<const float> hidden, MatView<float> out) const;

  const DecoderWeights& weights() const { return weights_; }

 private:
  struct LayerRange {
    std::size_t first = 0;
    std::size_t end = 0;
  };

  // Runs h through some layers, in place. embedding: [rows, hidden], what enters layer 0; it may be h.
  void run_layers(const Compute& compute, LayerRange layers, const Step& step, MatView<const float> embedding,
                  MatView<float> h, Scratch& scratch, Trace* trace, const std::function<bool()>& should_stop) const;

  const DecoderConfig& config_;
  const DecoderWeights& weights_;
};

}  // namespace carat
