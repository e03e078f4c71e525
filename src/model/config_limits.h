// Reading numbers of a configuration within limits, and the checks that both sources share.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/config.h"

namespace carat {

// value as a size, if it lies in [min, max]; otherwise Error(kBadFile): "where: key is 7, expected 1 to 4".
std::size_t checked_size(std::int64_t value, std::int64_t min, std::int64_t max, std::string_view where,
                         std::string_view key);
// value as a float, if it is finite and above 0.
float checked_positive(double value, std::string_view where, std::string_view key);

// What no model of the family comes near; products of any three fit into 64 bits.
inline constexpr std::int64_t kMaxLayers = 1024;
inline constexpr std::int64_t kMaxWidth = 1 << 20;
inline constexpr std::int64_t kMaxHeads = 1024;
inline constexpr std::int64_t kMaxHeadDim = 4096;
inline constexpr std::int64_t kMaxVocab = 1 << 24;
inline constexpr std::int64_t kMaxContext = 1 << 24;
inline constexpr std::int64_t kMaxExperts = 4096;

// theta^(-2 i / head_dim) / factor for i < pairs, in radians a position. Computed in double, rounded once.
std::vector<float> rope_frequencies(double theta, std::size_t head_dim, std::size_t pairs, double factor);

// Gives the last `shared` layers the keys and values of the last layer of the same kind before them, and checks what
// forward relies on: at least one layer, heads divided by kv_heads, head_dim a multiple of 16, and so on.
void finish_decoder(DecoderConfig& config, std::size_t shared, std::string_view where);

// The same for a drafter, whose layers all read the keys and values of another model; checks its centroids too.
void finish_drafter(DrafterConfig& config, std::string_view where);

}  // namespace carat
