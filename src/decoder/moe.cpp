#include "decoder/moe.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "base/row_parts.h"
#include "nn/norm.h"

namespace carat {
namespace {

// One expert's part in one row.
struct Route {
  std::size_t expert = 0;
  float weight = 0;
};

// Turns router logits into probabilities and picks the best experts, best first; equal ones by lowest index.
void pick_experts(const KernelTable& kernels, std::span<float> logits, std::span<const float> expert_scale,
                  std::span<Route> routes) {
  kernels.exp_shifted(kernels.max(logits.data(), logits.size()), logits.size(), logits.data());
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(routes.size());
  std::partial_sort(order.begin(), end, order.end(), [&](std::size_t a, std::size_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  });
  // The softmax's own denominator cancels when the best are renormalised to 1.
  float sum = 0;
  for (std::size_t i = 0; i < routes.size(); ++i) sum += logits[order[i]];
  for (std::size_t i = 0; i < routes.size(); ++i) {
    routes[i] = {order[i], logits[order[i]] / sum * expert_scale[order[i]]};
  }
}

void trace_routes(Trace* trace, std::string_view name, std::span<const Route> routes, std::size_t used) {
  if (trace == nullptr) return;
  std::vector<float> ids;
  std::vector<float> weights;
  for (const Route& route : routes) {
    ids.push_back(static_cast<float>(route.expert));
    weights.push_back(route.weight);
  }
  trace->tensor(std::string(name) + ".expert_ids", MatView<const float>(ids.data(), routes.size() / used, used));
  trace->tensor(std::string(name) + ".expert_weights",
                MatView<const float>(weights.data(), routes.size() / used, used));
}

}  // namespace

void moe(const Compute& compute, const DecoderConfig& config, const MoeWeights& weights, MatView<const float> h,
         MatView<float> out, Scratch& scratch, Trace* trace, std::string_view name) {
  const std::size_t rows = h.rows();
  const std::size_t used = config.moe.used;
  const std::size_t width = config.moe.intermediate;
  const MatView<float> normed = scratch.normed.mat(rows, config.hidden);

  // Routes: row by row, best expert first.
  rms_norm(compute, h, weights.router_scale, config.rms_eps, normed);
  const MatView<float> router = scratch.router.mat(rows, config.moe.experts);
  compute.matmul(normed, weights.router, router);
  std::vector<Route> routes(rows * used);
  for_rows(compute, rows, [&](std::size_t row) {
    pick_experts(compute.kernels, router.row(row), weights.expert_scale, std::span(routes).subspan(row * used, used));
  });
  trace_routes(trace, name, routes, used);

  // Rows of all experts side by side, expert by expert: slot[i] is where route i's row stands.
  std::vector<std::size_t> first_slot(config.moe.experts + 1, 0);
  for (const Route& route : routes) ++first_slot[route.expert + 1];
  std::partial_sum(first_slot.begin(), first_slot.end(), first_slot.begin());
  std::vector<std::size_t> next = first_slot;
  std::vector<std::size_t> slot(routes.size());
  for (std::size_t i = 0; i < routes.size(); ++i) slot[i] = next[routes[i].expert]++;

  rms_norm(compute, h, weights.pre_routed_norm, config.rms_eps, normed);
  MatView<const float> input = normed;
  if (rows > 1) {
    const MatView<float> routed = scratch.routed_in.mat(routes.size(), config.hidden);
    for_rows(compute, rows, [&](std::size_t row) {
      for (std::size_t i = row * used; i < (row + 1) * used; ++i) {
        std::ranges::copy(normed.row(row), routed.row(slot[i]).data());
      }
    });
    input = routed;
  }

  const MatView<float> gate_up = scratch.routed_gate_up.mat(routes.size(), 2 * width);
  const MatView<float> output = scratch.routed_out.mat(routes.size(), config.hidden);
  std::vector<Product> ups;
  std::vector<Product> downs;
  for (std::size_t expert = 0; expert < config.moe.experts; ++expert) {
    const std::size_t first = first_slot[expert];
    const std::size_t count = first_slot[expert + 1] - first;
    if (count == 0) continue;
    const std::size_t input_row = rows > 1 ? first : 0;  // a single row is what all its experts meet
    ups.push_back(
        {weights.gate_up.row_range(expert * 2 * width, 2 * width), gate_up.row_range(first, count), input_row});
    downs.push_back(
        {weights.down.row_range(expert * config.hidden, config.hidden), output.row_range(first, count), first});
  }
  compute.matmul(input, ups);
  compute.matmul(gate_up.col_range(0, width), downs, [&](std::size_t row, std::size_t first, std::size_t count) {
    float* gate = gate_up.row(row).data() + first;
    compute.kernels.gelu_mul(gate, gate + width, count, gate);
  });

  const auto add_experts = [&](const IndexRange& part, const IndexRange& columns) {
    for (std::size_t row = part.first; row < part.end; ++row) {
      float* sum = out.row(row).data() + columns.first;
      std::fill_n(sum, columns.count(), 0.0F);
      for (std::size_t i = row * used; i < (row + 1) * used; ++i) {
        compute.kernels.scale_add(routes[i].weight, output.row(slot[i]).data() + columns.first, columns.count(), sum);
      }
    }
  };
  for_row_parts(compute.pool, rows, {.count = config.hidden, .work = used}, add_experts);
}

}  // namespace carat
