#include "decoder/decoder.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "decoder/layer.h"
#include "decoder/per_layer_input.h"
#include "nn/norm.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

// Moves the rows that want logits to the front; returns how many there are.
std::size_t keep_wanted(std::span<const BatchRow> rows, MatView<float> matrix) {
  std::size_t kept = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!rows[row].wants_logits) continue;
    if (kept != row) std::ranges::copy(matrix.row(row), matrix.row(kept).data());
    ++kept;
  }
  return kept;
}

}  // namespace

void Decoder::embed(const Compute& compute, std::span<const BatchRow> rows, MatView<float> h) const {
  const Timed timed(compute.profile, Operation::kEmbedding, LayerKind::kOutside);
  const WeightMatrix& table = weights_.embedding;
  for_rows(compute, rows.size(), [&](std::size_t row) {
    if (rows[row].soft_row != nullptr) {
      std::copy_n(rows[row].soft_row, config_.hidden, h.row(row).data());
      return;
    }
    const std::byte* source = table.row(static_cast<std::size_t>(rows[row].token));
    dequantize_row(table.dtype, {source, table.row_bytes}, h.row(row));
    compute.kernels.scale(config_.embedding_scale, config_.hidden, h.row(row).data());
  });
}

void Decoder::run_layers(const Compute& compute, LayerRange layers, const Step& step, MatView<const float> embedding,
                         MatView<float> h, Scratch& scratch, Trace* trace,
                         const std::function<bool()>& should_stop) const {
  const std::size_t dim = config_.ple_dim;
  const MatView<float> ple = scratch.ple.mat(h.rows(), (layers.end - layers.first) * dim);
  if (dim != 0) {
    const Timed timed(compute.profile, Operation::kPerLayerInputs, LayerKind::kOutside);
    per_layer_inputs(compute, config_, weights_, layers.first, step.rows, embedding, ple, scratch);
  }
  for (std::size_t i = layers.first; i < layers.end; ++i) {
    if (should_stop && should_stop()) throw Error(ErrorKind::kCancelled, "stopped between two layers");
    const MatView<const float> layer_ple = ple.col_range((i - layers.first) * dim, dim);
    layer_forward(compute, config_, config_.layers[i], weights_.layers[i], step, layer_ple, h, scratch, trace);
    if (trace != nullptr) trace->tensor(str("layer.", i), h);
  }
}

MatView<const float> Decoder::forward(const Compute& compute, const Batch& batch, Scratch& scratch, Trace* trace,
                                      const std::function<bool()>& should_stop) const {
  const std::size_t layers = config_.layers.size();
  const std::size_t shared_from = config_.layers_that_matter_to_others();
  MatView<float> h = scratch.hidden.mat(batch.rows.size(), config_.hidden);
  Step step(compute, config_, weights_.layers, batch.rows, batch.caches, scratch);

  embed(compute, step.rows, h);
  if (trace != nullptr) trace->tensor("embedding", h);
  run_layers(compute, {0, shared_from}, step, h, h, scratch, trace, should_stop);

  // From here on only rows whose logits are wanted matter.
  h = h.row_range(0, keep_wanted(step.rows, h));
  if (h.empty()) return {};
  if (shared_from < layers) {
    std::erase_if(step.rows, [](const BatchRow& row) { return !row.wants_logits; });
    step = Step(compute, config_, weights_.layers, step.rows, batch.caches, scratch);
    const MatView<float> embedding = scratch.normed.mat(h.rows(), config_.hidden);
    if (config_.ple_dim != 0) embed(compute, step.rows, embedding);
    run_layers(compute, {shared_from, layers}, step, embedding, h, scratch, trace, should_stop);
  }
  rms_norm(compute, h, weights_.final_norm, config_.rms_eps, h);
  if (trace != nullptr) trace->tensor("final_norm", h);
  return h;
}

void Decoder::logits(const Compute& compute, MatView<const float> hidden, MatView<float> out) const {
  const Timed timed(compute.profile, Operation::kLogits, LayerKind::kOutside);
  compute.matmul(hidden, weights_.output, out);
  if (config_.final_logit_cap == 0) return;
  // The vocabulary is wide and the rows are few: split by columns.
  constexpr std::size_t kCols = 4096;
  for (std::size_t row = 0; row < out.rows(); ++row) {
    const std::span<float> logits = out.row(row);
    compute.pool.parallel_for((logits.size() + kCols - 1) / kCols, [&](std::size_t i, std::size_t) {
      const std::span<float> part = logits.subspan(i * kCols, std::min(kCols, logits.size() - i * kCols));
      compute.kernels.soft_cap(config_.final_logit_cap, part.size(), part.data());
    });
  }
}

}  // namespace carat
