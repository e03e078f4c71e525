#include "cli/weight_traffic.h"

namespace carat {

std::uint64_t weight_bytes_per_token(const DecoderWeights& weights, const DecoderConfig& config) {
  std::uint64_t bytes = weights.embedding.row_bytes + weights.output.size_bytes() + weights.ple_projection.size_bytes();
  if (weights.ple_table) bytes += weights.ple_table->row_bytes();
  for (const LayerWeights& layer : weights.layers) {
    const AttentionWeights& attention = layer.attention;
    bytes += attention.query.size_bytes() + attention.key.size_bytes() + attention.value.size_bytes() +
             attention.output.size_bytes();
    bytes += layer.mlp.gate.size_bytes() + layer.mlp.up.size_bytes() + layer.mlp.down.size_bytes();
    bytes += layer.per_layer.gate.size_bytes() + layer.per_layer.projection.size_bytes();
    if (config.moe.experts > 0) {
      bytes += layer.moe.router.size_bytes();
      bytes += (layer.moe.gate_up.size_bytes() + layer.moe.down.size_bytes()) / config.moe.experts * config.moe.used;
    }
  }
  return bytes;
}

}  // namespace carat
