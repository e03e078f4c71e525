#include "decoder/drafter.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "decoder/layer.h"
#include "nn/norm.h"
#include "tensor/quantize.h"

namespace carat {

Drafter::Drafter(const DrafterConfig& config, const DrafterWeights& weights)
    : config_(config),
      weights_(weights),
      scratch_(config.decoder, 1),
      input_(2 * config.target_hidden, "drafter"),
      state_(config.decoder.hidden, "drafter"),
      logits_(config.decoder.vocab, "draft logits"),
      centroid_scores_(config.centroids, "drafter"),
      order_(config.centroids) {}

std::size_t Drafter::bytes_needed(const DrafterConfig& config) {
  const std::size_t floats =
      2 * config.target_hidden + config.decoder.hidden + config.decoder.vocab + 2 * config.centroids;
  return Scratch::bytes_needed(config.decoder, 1) + floats * sizeof(float);
}

void Drafter::run_layers(const Compute& compute, const DraftContext& context, MatView<float> h, Trace* trace) {
  const DecoderConfig& config = config_.decoder;
  KvCache* const caches[] = {&context.cache};
  Step step(compute, config, context.target.weights().layers, {{.token = context.token, .position = context.position}},
            caches, scratch_);
  // Keys end one position before the row, and sliding layers see those at most `window` away from the last of them:
  // one more than the target would (masking_utils.py: abs(query - key) <= window).
  const std::size_t end = context.position;
  step.sliding_spans = {{end - std::min(end, config.window + 1), end}};
  step.global_spans = {{0, end}};
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    layer_forward(compute, config, config.layers[i], weights_.decoder.layers[i], step, {}, h, scratch_, trace);
  }
  rms_norm(compute, h, weights_.decoder.final_norm, config.rms_eps, h);
}

void Drafter::score(const Compute& compute, MatView<const float> h) {
  const WeightMatrix& output = weights_.decoder.output;
  const std::span<float> logits = logits_.span();
  if (config_.centroids == 0) {
    compute.matmul(h, output, logits_.mat(1, logits.size()));
    return;
  }
  compute.matmul(h, weights_.centroid, centroid_scores_.mat(1, config_.centroids));
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::partial_sort(
      order_, order_.begin() + static_cast<std::ptrdiff_t>(config_.centroids_used),
      [&](std::int32_t a, std::int32_t b) { return centroid_scores_.data()[a] > centroid_scores_.data()[b]; });
  constexpr float kUnset = std::numeric_limits<float>::infinity();
  std::ranges::fill(logits, kUnset);
  // A cluster's rows lie anywhere in the matrix: they are decoded one by one, which for the few of them is cheap.
  const std::size_t cluster = logits.size() / config_.centroids;
  compute.pool.parallel_for(config_.centroids_used, [&](std::size_t i, std::size_t) {
    std::vector<float> weights(output.cols);
    for (const std::int32_t token :
         std::span(weights_.token_ordering).subspan(static_cast<std::size_t>(order_[i]) * cluster, cluster)) {
      const auto row = static_cast<std::size_t>(token);
      dequantize_row(output.dtype, {output.row(row), output.row_bytes}, weights);
      logits[row] = std::inner_product(weights.begin(), weights.end(), h.data(), 0.0F);
    }
  });
  const float lowest = *std::ranges::min_element(logits);
  std::ranges::replace(logits, kUnset, lowest - 1);
}

std::vector<std::int32_t> Drafter::propose(const Compute& compute, const DraftContext& context, std::size_t count,
                                           Trace* trace) {
  const std::size_t width = config_.target_hidden;
  const MatView<float> input = input_.mat(1, 2 * width);
  const MatView<float> hidden = input.col_range(width, width);
  const MatView<float> h = state_.mat(1, config_.decoder.hidden);
  std::ranges::copy(context.hidden, hidden.row(0).begin());

  std::vector<std::int32_t> proposed;
  std::int32_t token = context.token;
  while (proposed.size() < count) {
    const BatchRow row{.token = token};
    context.target.embed(compute, {&row, 1}, input.col_range(0, width));
    if (trace != nullptr) trace->tensor("draft.input", input);
    compute.matmul(input, weights_.pre_projection, h);
    run_layers(compute, context, h, trace);
    score(compute, h);
    compute.matmul(h, weights_.post_projection, hidden);
    if (trace != nullptr) {
      trace->tensor("draft.logits", logits_.mat(1, logits_.size()));
      trace->tensor("draft.hidden", hidden);
    }
    token = static_cast<std::int32_t>(std::ranges::max_element(logits_.span()) - logits_.span().begin());
    proposed.push_back(token);
  }
  return proposed;
}

}  // namespace carat
