#include "decoder/decoder.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "decoder/layer.h"
#include "decoder/per_layer_input.h"
#include "decoder/step.h"
#include "nn/norm.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

// Moves the rows that want logits to the front; returns how many there are.
std::size_t keep_wanted(std::span<const BatchRow> rows, MatView<float> matrix) {
  std::size_t kept = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!rows[row].wants_logits) continue;
    if (kept != row && !matrix.empty()) std::ranges::copy(matrix.row(row), matrix.row(kept).data());
    ++kept;
  }
  return kept;
}

void trace_tensor(Trace* trace, std::string_view name, MatView<const float> values) {
  if (trace != nullptr) trace->tensor(name, values);
}

}  // namespace

void Decoder::embed(const Compute& compute, std::span<const BatchRow> rows, MatView<float> h) const {
  const WeightMatrix& table = weights_.embedding;
  for_rows(compute, rows.size(), [&](std::size_t row) {
    const std::byte* source = table.row(static_cast<std::size_t>(rows[row].token));
    dequantize_row(table.dtype, {source, table.row_bytes}, h.row(row));
    compute.kernels.scale(config_.embedding_scale, config_.hidden, h.row(row).data());
  });
}

MatView<const float> Decoder::forward(const Compute& compute, const Batch& batch, Scratch& scratch,
                                      Trace* trace) const {
  Step step(compute, config_, batch.rows, batch.caches, scratch);
  MatView<float> h = scratch.hidden.mat(batch.rows.size(), config_.hidden);
  MatView<float> ple = scratch.ple.mat(batch.rows.size(), config_.layers.size() * config_.ple_dim);

  embed(compute, batch.rows, h);
  trace_tensor(trace, "embedding", h);
  if (!ple.empty()) {
    std::vector<std::int32_t> tokens;
    for (const BatchRow& row : batch.rows) tokens.push_back(row.token);
    per_layer_inputs(compute, config_, weights_, tokens, h, ple, scratch);
  }

  const std::size_t shared_from = config_.layers_that_matter_to_others();
  for (const LayerConfig& layer : config_.layers) {
    if (layer.index == shared_from) {  // from here on only rows whose logits are wanted matter
      const std::size_t kept = keep_wanted(step.rows, h);
      if (kept == 0) return {};
      if (kept < h.rows()) {
        keep_wanted(step.rows, ple);
        h = h.row_range(0, kept);
        if (!ple.empty()) ple = ple.row_range(0, kept);
        std::erase_if(step.rows, [](const BatchRow& row) { return !row.wants_logits; });
        step = Step(compute, config_, step.rows, batch.caches, scratch);
      }
    }
    const MatView<const float> layer_ple =
        ple.empty() ? MatView<float>() : ple.col_range(layer.index * config_.ple_dim, config_.ple_dim);
    layer_forward(compute, config_, layer, weights_.layers[layer.index], step, layer_ple, h, scratch, trace);
    if (trace != nullptr) trace->tensor(str("layer.", layer.index), h);
  }
  h = h.row_range(0, keep_wanted(step.rows, h));  // models whose every layer makes keys and values
  rms_norm(compute, h, weights_.final_norm, config_.rms_eps, h);
  trace_tensor(trace, "final_norm", h);
  return h;
}

void Decoder::logits(const Compute& compute, MatView<const float> hidden, MatView<float> out) const {
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
