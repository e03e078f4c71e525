#include "model/config_limits.h"

#include <cmath>
#include <optional>

#include "base/error.h"
#include "kernels/kernel_table.h"

namespace carat {
namespace {

// Queries that share a key/value head; attention holds them in one tile.
constexpr std::size_t kMaxGroup = 64;

[[noreturn]] void refuse(std::string_view where, const std::string& what) {
  throw Error(ErrorKind::kBadFile, str(where, ": ", what));
}

// What forward relies on in a layer.
void check_layer(const DecoderConfig& config, const LayerConfig& layer, std::string_view where) {
  if (config.heads % layer.kv_heads != 0 || config.heads / layer.kv_heads > kMaxGroup) {
    refuse(where, str("layer ", layer.index, " has ", config.heads, " heads and ", layer.kv_heads,
                      " key/value heads, expected a divisor, at most ", kMaxGroup, " heads to one."));
  }
  if (layer.head_dim % kPanelRows != 0) {
    refuse(where,
           str("layer ", layer.index, " has head_dim ", layer.head_dim, ", expected a multiple of ", kPanelRows, "."));
  }
  if (config.rope_of(layer).size() > layer.head_dim / 2) {
    refuse(where, str("layer ", layer.index, " turns more pairs than its head_dim ", layer.head_dim, " has."));
  }
  if (layer.is_sliding && config.window == 0)
    refuse(where, str("layer ", layer.index, " slides, but the window is 0."));
}

}  // namespace

std::size_t checked_size(std::int64_t value, std::int64_t min, std::int64_t max, std::string_view where,
                         std::string_view key) {
  if (value < min || value > max) refuse(where, str(key, " is ", value, ", expected ", min, " to ", max, "."));
  return static_cast<std::size_t>(value);
}

float checked_positive(double value, std::string_view where, std::string_view key) {
  const auto number = static_cast<float>(value);
  if (!std::isfinite(number) || number <= 0) refuse(where, str(key, " is ", value, ", expected a number above 0."));
  return number;
}

std::vector<float> rope_frequencies(double theta, std::size_t head_dim, std::size_t pairs, double factor) {
  std::vector<float> frequencies(pairs);
  for (std::size_t i = 0; i < pairs; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
    frequencies[i] = static_cast<float>(std::pow(theta, exponent) / factor);
  }
  return frequencies;
}

void finish_decoder(DecoderConfig& config, std::size_t shared, std::string_view where) {
  const std::size_t count = config.layers.size();
  if (shared >= count) refuse(where, str(shared, " of ", count, " layers share keys and values; one must make them."));
  if (config.moe.used > config.moe.experts) {
    refuse(where,
           str(config.moe.used, " of ", config.moe.experts, " experts a token, expected no more than there are."));
  }
  std::optional<std::size_t> last_sliding;
  std::optional<std::size_t> last_global;
  for (std::size_t i = 0; i < count; ++i) {
    LayerConfig& layer = config.layers[i];
    layer.index = i;
    std::optional<std::size_t>& last = layer.is_sliding ? last_sliding : last_global;
    if (i < count - shared) last = i;
    if (!last) {
      refuse(where, str("layer ", i, " shares the keys of a ", layer.is_sliding ? "sliding" : "global",
                        " layer before it, but there is none."));
    }
    layer.kv_source = *last;
    const LayerConfig& source = config.layers[*last];
    if (layer.head_dim != source.head_dim || layer.kv_heads != source.kv_heads) {
      refuse(where, str("layer ", i, " shares the keys of layer ", *last, " but has other head sizes."));
    }
    check_layer(config, layer, where);
  }
}

void finish_drafter(DrafterConfig& config, std::string_view where) {
  for (std::size_t i = 0; i < config.decoder.layers.size(); ++i) {
    LayerConfig& layer = config.decoder.layers[i];
    layer.index = i;
    layer.reads_target = true;
    layer.is_k_eq_v = false;
    check_layer(config.decoder, layer, where);
  }
  if (config.centroids == 0) return;
  if (config.decoder.vocab % config.centroids != 0) {
    refuse(where, str("a vocabulary of ", config.decoder.vocab, " does not divide into ", config.centroids,
                      " centroids of one size."));
  }
  if (config.centroids_used == 0 || config.centroids_used > config.centroids) {
    refuse(where, str(config.centroids_used, " of ", config.centroids, " centroids are used, expected 1 to all."));
  }
}

}  // namespace carat
