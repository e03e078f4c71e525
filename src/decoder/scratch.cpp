#include "decoder/scratch.h"

#include <algorithm>
#include <array>

namespace carat {
namespace {

// Floats a row takes in each buffer.
struct RowFloats {
  std::size_t query = 0;
  std::size_t key = 0;
  std::size_t intermediate = 0;
  std::size_t ple = 0;
  std::size_t routed = 0;  // rows of expert input

  explicit RowFloats(const DecoderConfig& config)
      : ple(config.layers.size() * config.ple_dim), routed(config.moe.experts == 0 ? 0 : config.moe.used) {
    for (const LayerConfig& layer : config.layers) {
      query = std::max(query, config.heads * layer.head_dim);
      key = std::max(key, layer.kv_heads * layer.head_dim);
      intermediate = std::max(intermediate, layer.intermediate);
    }
  }
};

// Calls visit(member, floats a row) for every buffer: the one list for sizes and for allocation.
template <typename Visit>
void for_each_buffer(const DecoderConfig& config, const Visit& visit) {
  const RowFloats row(config);
  visit(&Scratch::hidden, config.hidden);
  visit(&Scratch::normed, config.hidden);
  visit(&Scratch::branch, config.hidden);
  visit(&Scratch::query, row.query);
  visit(&Scratch::key, row.key);
  visit(&Scratch::value, row.key);
  visit(&Scratch::gate, row.intermediate);
  visit(&Scratch::up, row.intermediate);
  visit(&Scratch::cos_sliding, config.rope_sliding.size());
  visit(&Scratch::sin_sliding, config.rope_sliding.size());
  visit(&Scratch::cos_global, config.rope_global.size());
  visit(&Scratch::sin_global, config.rope_global.size());
  visit(&Scratch::ple, row.ple);
  visit(&Scratch::ple_gate, config.ple_dim);
  visit(&Scratch::routed, config.moe.experts == 0 ? 0 : config.hidden);
  visit(&Scratch::router, config.moe.experts);
  visit(&Scratch::routed_in, row.routed * config.hidden);
  visit(&Scratch::routed_gate_up, row.routed * 2 * config.moe.intermediate);
  visit(&Scratch::routed_out, row.routed * config.hidden);
}

}  // namespace

Scratch::Scratch(const DecoderConfig& config, std::size_t max_rows) : max_rows_(max_rows) {
  for_each_buffer(config, [&](AlignedBuffer<float> Scratch::*buffer, std::size_t row_floats) {
    this->*buffer = AlignedBuffer<float>(max_rows * row_floats, "activations");
  });
}

std::size_t Scratch::bytes_needed(const DecoderConfig& config, std::size_t max_rows) {
  std::size_t floats = 0;
  for_each_buffer(config,
                  [&](AlignedBuffer<float> Scratch::*, std::size_t row_floats) { floats += max_rows * row_floats; });
  return floats * sizeof(float);
}

}  // namespace carat
