// How many bytes of weights a step of one token reads: what bounds the speed of generation.
#pragma once

#include <cstdint>

#include "decoder/config.h"
#include "decoder/weights.h"

namespace carat {

// Every matrix whole, but one row of the tables that are looked up, and of experts only those used.
std::uint64_t weight_bytes_per_token(const DecoderWeights& weights, const DecoderConfig& config);

}  // namespace carat
