// Encoding. The blocks of 32 follow GGUF's reference encoder (gguf-py quants.py, quantize_blocks) step by step; Q4_K
// and Q6_K search for the scales with the smallest weighted square error.
#include "tensor/quantize.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/float16.h"
#include "tensor/blocks.h"

namespace carat {
namespace {

template <std::size_t N>
using Values = std::span<const float, N>;

template <std::size_t N>
using Codes = std::array<int, N>;

// v without its fraction, within 0 .. max_code; 0 for NaN.
int truncate_to_code(float v, int max_code) {
  return static_cast<int>(std::min(std::max(0.0F, v), static_cast<float>(max_code)));
}

// 0 where d is 0: such blocks hold nothing but zeros or one and the same value.
float inverse(float d) {
  return d == 0.0F ? 0.0F : 1.0F / d;
}

// Adds a code's bits to a byte that has zeros there.
void put_bits(std::uint8_t& byte, int code, std::size_t shift) {
  byte = static_cast<std::uint8_t>(byte | (code << shift));
}

// ---- 32 values a block ----------------------------------------------------------------------------------------------

// The value farthest from zero, the first of equals.
template <std::size_t N>
float peak_of(Values<N> x) {
  return *std::ranges::max_element(x, {}, [](float v) { return std::abs(v); });
}

// The low four bits of 32 codes into 16 bytes.
void put_nibbles(const Codes<32>& codes, std::uint8_t (&bytes)[16]) {
  for (std::size_t i = 0; i < 32; ++i) put_bits(bytes[i % 16], codes[i] & 15, 4 * (i / 16));
}

// Bit 4 of 32 codes into 4 bytes.
void put_fifth_bits(const Codes<32>& codes, std::uint8_t (&bytes)[4]) {
  for (std::size_t i = 0; i < 32; ++i) put_bits(bytes[i / 8], codes[i] >> 4, i % 8);
}

struct ScaledCodes {
  float d;
  float m;
  Codes<32> codes;
};

// x ~ d * (code - zero), the peak at code 0: zero = 8 for four bits, 16 for five.
ScaledCodes around_zero(Values<32> x, int zero) {
  ScaledCodes result{.d = peak_of(x) / static_cast<float>(-zero), .m = 0.0F, .codes = {}};
  const float inverse_d = inverse(result.d);
  const float offset = static_cast<float>(zero) + 0.5F;
  for (std::size_t i = 0; i < x.size(); ++i) {
    result.codes[i] = truncate_to_code(x[i] * inverse_d + offset, 2 * zero - 1);
  }
  return result;
}

// x ~ d * code + m, smallest and largest value at code 0 and max_code.
ScaledCodes between_extremes(Values<32> x, int max_code) {
  const auto [smallest, largest] = std::ranges::minmax_element(x);
  ScaledCodes result{.d = (*largest - *smallest) / static_cast<float>(max_code), .m = *smallest, .codes = {}};
  const float inverse_d = inverse(result.d);
  for (std::size_t i = 0; i < x.size(); ++i) {
    result.codes[i] = truncate_to_code((x[i] - result.m) * inverse_d + 0.5F, max_code);
  }
  return result;
}

void encode(Values<32> x, BlockQ4_0& block) {
  const ScaledCodes scaled = around_zero(x, 8);
  block.d = to_f16(scaled.d).bits;
  put_nibbles(scaled.codes, block.codes);
}

void encode(Values<32> x, BlockQ4_1& block) {
  const ScaledCodes scaled = between_extremes(x, 15);
  block.d = to_f16(scaled.d).bits;
  block.m = to_f16(scaled.m).bits;
  put_nibbles(scaled.codes, block.codes);
}

void encode(Values<32> x, BlockQ5_0& block) {
  const ScaledCodes scaled = around_zero(x, 16);
  block.d = to_f16(scaled.d).bits;
  put_nibbles(scaled.codes, block.codes);
  put_fifth_bits(scaled.codes, block.high);
}

void encode(Values<32> x, BlockQ5_1& block) {
  const ScaledCodes scaled = between_extremes(x, 31);
  block.d = to_f16(scaled.d).bits;
  block.m = to_f16(scaled.m).bits;
  put_nibbles(scaled.codes, block.codes);
  put_fifth_bits(scaled.codes, block.high);
}

void encode(Values<32> x, BlockQ8_0& block) {
  const float d = std::abs(peak_of(x)) / 127.0F;
  const float inverse_d = inverse(d);
  block.d = to_f16(d).bits;
  for (std::size_t i = 0; i < x.size(); ++i) {
    // Rounds halves away from zero, as the reference does.
    const float v = x[i] * inverse_d;
    const int magnitude = truncate_to_code(std::round(std::abs(v)), 127);
    block.codes[i] = static_cast<std::int8_t>(v < 0.0F ? -magnitude : magnitude);
  }
}

// ---- 256 values a block ---------------------------------------------------------------------------------------------
//
// Both types stand for a group's values as x ~ scale * code - minimum, where Q6_K's minimum is tied to 32 * scale. The
// error of a group is sum(weight * (scale * code - minimum - x)^2). First every group by itself gets the real-valued
// scale and minimum with the smallest error among some candidates; then all of a block's are rounded to integers.

// How much an error in each value counts: large weights of a model matter more than small ones, but the small ones
// not nothing.
template <std::size_t N>
std::array<float, N> importance(Values<N> x) {
  float squares = 0.0F;
  for (const float v : x) squares += v * v;
  const float root_mean_square = std::sqrt(squares / static_cast<float>(N));
  std::array<float, N> weights;
  for (std::size_t i = 0; i < N; ++i) weights[i] = root_mean_square + std::abs(x[i]);
  return weights;
}

template <std::size_t N>
Codes<N> nearest_codes(Values<N> x, float scale, float minimum, int max_code) {
  const float inverse_scale = inverse(scale);
  Codes<N> codes;
  for (std::size_t i = 0; i < N; ++i) codes[i] = truncate_to_code((x[i] + minimum) * inverse_scale + 0.5F, max_code);
  return codes;
}

template <std::size_t N>
float weighted_error(Values<N> x, const std::array<float, N>& weights, const Codes<N>& codes, float scale,
                     float minimum) {
  float error = 0.0F;
  for (std::size_t i = 0; i < N; ++i) {
    const float difference = scale * static_cast<float>(codes[i]) - minimum - x[i];
    error += weights[i] * difference * difference;
  }
  return error;
}

struct Fit {
  float scale = 0.0F;
  float minimum = 0.0F;
};

// How many steps the range of a group is cut into, relative to its number of codes: a little less or more than all of
// them often rounds better. From -kSpread to kSpread in kCandidates equal parts.
constexpr int kCandidates = 20;
constexpr float kSpread = 1.0F;
float steps_off(int candidate) {
  return kSpread * (2.0F * static_cast<float>(candidate) / kCandidates - 1.0F);
}

// The scale and the minimum >= 0 that are best for given codes: the zeros of the error's derivatives,
//   scale = (W * QX - Q * X) / (W * QQ - Q * Q), minimum = (scale * Q - X) / W,
// W = sum(w), Q = sum(w q), X = sum(w x), QQ = sum(w q q), QX = sum(w q x). Where that minimum is negative, the best
// one allowed is 0, with scale = QX / QQ.
Fit least_squares(Values<32> x, const std::array<float, 32>& weights, const Codes<32>& codes) {
  double w_sum = 0.0;
  double q_sum = 0.0;
  double x_sum = 0.0;
  double qq_sum = 0.0;
  double qx_sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double w = weights[i];
    const double q = codes[i];
    w_sum += w;
    q_sum += w * q;
    x_sum += w * x[i];
    qq_sum += w * q * q;
    qx_sum += w * q * x[i];
  }
  const double determinant = w_sum * qq_sum - q_sum * q_sum;
  if (!(determinant > 0.0)) return {};
  const double scale = (w_sum * qx_sum - q_sum * x_sum) / determinant;
  const double minimum = (scale * q_sum - x_sum) / w_sum;
  if (minimum >= 0.0) return {static_cast<float>(scale), static_cast<float>(minimum)};
  return {static_cast<float>(qx_sum / qq_sum), 0.0F};
}

// Scale >= 0 and minimum >= 0 of a group of Q4_K.
Fit fit_with_minimum(Values<32> x, const std::array<float, 32>& weights) {
  constexpr int kMaxCode = 15;
  const auto [smallest, largest] = std::ranges::minmax(x);
  const float low = std::min(smallest, 0.0F);
  const float range = largest - low;
  if (!(range > 0.0F)) return {0.0F, -low};

  Fit best{range / static_cast<float>(kMaxCode), -low};
  float best_error = std::numeric_limits<float>::infinity();
  for (int candidate = 0; candidate <= kCandidates; ++candidate) {
    const float scale = range / (static_cast<float>(kMaxCode) + steps_off(candidate));
    const Codes<32> codes = nearest_codes(x, scale, -low, kMaxCode);
    const Fit fit = least_squares(x, weights, codes);
    const float error = weighted_error(x, weights, codes, fit.scale, fit.minimum);
    if (fit.scale > 0.0F && error < best_error) {
      best = fit;
      best_error = error;
    }
  }
  return best;
}

// Scale of a group of Q6_K, of either sign; its minimum is 32 times the scale.
float fit_around_zero(Values<16> x, const std::array<float, 16>& weights) {
  constexpr int kZero = 32;
  const float peak = peak_of(x);
  float best = 0.0F;
  float best_error = std::numeric_limits<float>::infinity();
  for (int candidate = 0; candidate <= kCandidates; ++candidate) {
    const float rough = -peak / (static_cast<float>(kZero) + steps_off(candidate));
    const Codes<16> codes = nearest_codes(x, rough, kZero * rough, 2 * kZero - 1);
    double qx_sum = 0.0;  // the best scale for given codes is sum(w q x) / sum(w q q), q = code - zero
    double qq_sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double q = codes[i] - kZero;
      qx_sum += weights[i] * q * x[i];
      qq_sum += weights[i] * q * q;
    }
    if (!(qq_sum > 0.0)) continue;
    const auto scale = static_cast<float>(qx_sum / qq_sum);
    const float error = weighted_error(x, weights, codes, scale, kZero * scale);
    if (error < best_error) {
      best = scale;
      best_error = error;
    }
  }
  return best;
}

// Scale and minimum of a group of Q4_K as integers, in units of the block's d and dmin: those of the nine around the
// fit's that leave the smallest error. The nearest integers are not always the best pair.
struct GroupWithMinimum {
  int scale = 0;
  int minimum = 0;
  Codes<32> codes{};
};
GroupWithMinimum round_group(Values<32> x, const std::array<float, 32>& weights, const Fit& fit, float d, float dmin) {
  constexpr int kMax = 63;
  const int scale = truncate_to_code(fit.scale * inverse(d) + 0.5F, kMax);
  const int minimum = truncate_to_code(fit.minimum * inverse(dmin) + 0.5F, kMax);
  GroupWithMinimum best;
  float best_error = std::numeric_limits<float>::infinity();
  for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, kMax); ++s) {
    for (int m = std::max(minimum - 1, 0); m <= std::min(minimum + 1, kMax); ++m) {
      const float group_scale = d * static_cast<float>(s);
      const float group_minimum = dmin * static_cast<float>(m);
      const Codes<32> codes = nearest_codes(x, group_scale, group_minimum, 15);
      const float error = weighted_error(x, weights, codes, group_scale, group_minimum);
      if (error < best_error) {
        best = {s, m, codes};
        best_error = error;
      }
    }
  }
  return best;
}

void encode(Values<256> x, BlockQ4_K& block) {
  std::array<std::array<float, 32>, 8> weights;
  std::array<Fit, 8> fits;
  Fit largest;
  for (std::size_t g = 0; g < 8; ++g) {
    const Values<32> group(x.subspan(32 * g, 32));
    weights[g] = importance(group);
    fits[g] = fit_with_minimum(group, weights[g]);
    largest.scale = std::max(largest.scale, fits[g].scale);
    largest.minimum = std::max(largest.minimum, fits[g].minimum);
  }
  const F16 d = to_f16(largest.scale / 63.0F);
  const F16 dmin = to_f16(largest.minimum / 63.0F);
  block.d = d.bits;
  block.dmin = dmin.bits;
  for (std::size_t g = 0; g < 8; ++g) {
    const GroupWithMinimum group =
        round_group(Values<32>(x.subspan(32 * g, 32)), weights[g], fits[g], to_float(d), to_float(dmin));
    if (g < 4) {
      put_bits(block.scales[g], group.scale, 0);
      put_bits(block.scales[g + 4], group.minimum, 0);
    } else {
      put_bits(block.scales[g + 4], group.scale & 15, 0);
      put_bits(block.scales[g + 4], group.minimum & 15, 4);
      put_bits(block.scales[g - 4], group.scale >> 4, 6);
      put_bits(block.scales[g], group.minimum >> 4, 6);
    }
    for (std::size_t i = 0; i < 32; ++i) put_bits(block.codes[32 * (g / 2) + i], group.codes[i], 4 * (g % 2));
  }
}

// Scale of a group of Q6_K as an integer in units of the block's d: the best of the three around the fit's.
struct GroupAroundZero {
  int scale = 0;
  Codes<16> codes{};
};
GroupAroundZero round_group(Values<16> x, const std::array<float, 16>& weights, float fit, float d) {
  constexpr int kLowest = -128;
  constexpr int kHighest = 127;
  const int scale = truncate_to_code(fit * inverse(d) + 0.5F - kLowest, kHighest - kLowest) + kLowest;
  GroupAroundZero best;
  float best_error = std::numeric_limits<float>::infinity();
  for (int s = std::max(scale - 1, kLowest); s <= std::min(scale + 1, kHighest); ++s) {
    const float group_scale = d * static_cast<float>(s);
    const Codes<16> codes = nearest_codes(x, group_scale, 32.0F * group_scale, 63);
    const float error = weighted_error(x, weights, codes, group_scale, 32.0F * group_scale);
    if (error < best_error) {
      best = {s, codes};
      best_error = error;
    }
  }
  return best;
}

void encode(Values<256> x, BlockQ6_K& block) {
  std::array<std::array<float, 16>, 16> weights;
  std::array<float, 16> fits;
  for (std::size_t g = 0; g < 16; ++g) {
    const Values<16> group(x.subspan(16 * g, 16));
    weights[g] = importance(group);
    fits[g] = fit_around_zero(group, weights[g]);
  }
  const F16 d = to_f16(peak_of(Values<16>(fits)) / -128.0F);
  block.d = d.bits;
  for (std::size_t g = 0; g < 16; ++g) {
    const GroupAroundZero group = round_group(Values<16>(x.subspan(16 * g, 16)), weights[g], fits[g], to_float(d));
    block.scales[g] = static_cast<std::int8_t>(group.scale);
    for (std::size_t n = 0; n < 16; ++n) {
      const std::size_t i = 16 * g + n;
      put_bits(block.codes[64 * (i / 128) + i % 64], group.codes[n] & 15, 4 * (i % 128 / 64));
      put_bits(block.high[32 * (i / 128) + i % 32], group.codes[n] >> 4, 2 * (i % 128 / 32));
    }
  }
}

// ---- rows -----------------------------------------------------------------------------------------------------------

using RowEncoder = void (*)(std::span<const float> x, std::byte* out);

template <typename Block>
void encode_blocks(std::span<const float> x, std::byte* out) {
  for (; !x.empty(); x = x.subspan(Block::kValues), out += sizeof(Block)) {
    Block block{};
    encode(x.first<Block::kValues>(), block);
    std::memcpy(out, &block, sizeof(Block));
  }
}

void copy_f32(std::span<const float> x, std::byte* out) {
  if (!x.empty()) std::memcpy(out, x.data(), x.size_bytes());
}

void encode_f16(std::span<const float> x, std::byte* out) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const F16 value = to_f16(x[i]);
    std::memcpy(out + i * sizeof(value), &value, sizeof(value));
  }
}

void encode_bf16(std::span<const float> x, std::byte* out) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const BF16 value = to_bf16(x[i]);
    std::memcpy(out + i * sizeof(value), &value, sizeof(value));
  }
}

// Null for types that quantize_row does not know.
RowEncoder row_encoder(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return copy_f32;
    case DType::kF16:
      return encode_f16;
    case DType::kBF16:
      return encode_bf16;
    case DType::kQ4_0:
      return encode_blocks<BlockQ4_0>;
    case DType::kQ4_1:
      return encode_blocks<BlockQ4_1>;
    case DType::kQ5_0:
      return encode_blocks<BlockQ5_0>;
    case DType::kQ5_1:
      return encode_blocks<BlockQ5_1>;
    case DType::kQ8_0:
      return encode_blocks<BlockQ8_0>;
    case DType::kQ4_K:
      return encode_blocks<BlockQ4_K>;
    case DType::kQ6_K:
      return encode_blocks<BlockQ6_K>;
    default:
      return nullptr;
  }
}

}  // namespace

void quantize_row(DType dtype, std::span<const float> x, std::span<std::byte> out) noexcept {
  assert(can_quantize(dtype));
  assert(row_bytes(dtype, x.size()) == out.size());
  row_encoder(dtype)(x, out.data());
}

bool can_quantize(DType dtype) {
  return row_encoder(dtype) != nullptr;
}

}  // namespace carat
