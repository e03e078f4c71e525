// Decoding. Each decode() below is its block's formula in blocks.h, with what a group shares taken out of the loop;
// products associate as in the formulas, so that every implementation can agree on the bits.
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/float16.h"
#include "tensor/blocks.h"
#include "tensor/codebooks.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

template <typename Block>
using Values = std::span<float, Block::kValues>;

// The n bits of v from bit `first` on.
constexpr int bits(std::uint32_t v, std::size_t first, unsigned n) {
  return static_cast<int>((v >> first) & ((1U << n) - 1U));
}

float half(std::uint16_t bits) {
  return to_float(F16{bits});
}

std::uint32_t word(const std::uint8_t (&bytes)[4]) {
  return std::bit_cast<std::uint32_t>(std::to_array(bytes));
}

// The 4-bit code of value i in a run of 2 * half_run values packed into half_run bytes.
int nibble(const std::uint8_t* codes, std::size_t half_run, std::size_t i) {
  return bits(codes[i % half_run], 4 * (i / half_run), 4);
}

// q2 of blocks.h: the 2-bit code of value i of 256.
int two_bits(const std::uint8_t (&codes)[64], std::size_t i) {
  return bits(codes[32 * (i / 128) + i % 32], 2 * (i % 128 / 32), 2);
}

// ---- 32 and 64 values a block ---------------------------------------------------------------------------------------

void decode(const BlockQ4_0& block, Values<BlockQ4_0> x) {
  const float d = half(block.d);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = d * static_cast<float>(nibble(block.codes, 16, i) - 8);
}

void decode(const BlockQ4_1& block, Values<BlockQ4_1> x) {
  const float d = half(block.d);
  const float m = half(block.m);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = d * static_cast<float>(nibble(block.codes, 16, i)) + m;
}

// The 5-bit code of value i: Q5_0, Q5_1.
template <typename Block>
int five_bits(const Block& block, std::size_t i) {
  return nibble(block.codes, 16, i) + 16 * bits(block.high[i / 8], i % 8, 1);
}

void decode(const BlockQ5_0& block, Values<BlockQ5_0> x) {
  const float d = half(block.d);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = d * static_cast<float>(five_bits(block, i) - 16);
}

void decode(const BlockQ5_1& block, Values<BlockQ5_1> x) {
  const float d = half(block.d);
  const float m = half(block.m);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = d * static_cast<float>(five_bits(block, i)) + m;
}

void decode(const BlockQ8_0& block, Values<BlockQ8_0> x) {
  const float d = half(block.d);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = d * static_cast<float>(block.codes[i]);
}

void decode(const BlockIQ4_NL& block, Values<BlockIQ4_NL> x) {
  const float d = half(block.d);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = d * kLevelsIQ4[static_cast<std::size_t>(nibble(block.codes, 16, i))];
  }
}

void decode(const BlockMXFP4& block, Values<BlockMXFP4> x) {
  const float scale = std::ldexp(1.0F, block.exponent - 128);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = scale * kLevelsFp4[static_cast<std::size_t>(nibble(block.codes, 16, i))];
  }
}

// An E4M3 number without sign.
float e4m3(std::uint8_t code) {
  constexpr std::uint8_t kNan = 0x7f;
  if (code == kNan) return 0.0F;
  const int exponent = bits(code, 3, 4);
  const auto fraction = static_cast<float>(bits(code, 0, 3));
  return exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(1.0F + fraction / 8.0F, exponent - 7);
}

void decode(const BlockNVFP4& block, Values<BlockNVFP4> x) {
  for (std::size_t g = 0; g < 4; ++g) {
    const float scale = e4m3(block.scales[g]) * 0.5F;
    for (std::size_t i = 0; i < 16; ++i) {
      x[16 * g + i] = scale * kLevelsFp4[static_cast<std::size_t>(nibble(block.codes + 8 * g, 8, i))];
    }
  }
}

// ---- 256 values a block ---------------------------------------------------------------------------------------------

void decode(const BlockQ2_K& block, Values<BlockQ2_K> x) {
  const float d = half(block.d);
  const float dmin = half(block.dmin);
  for (std::size_t g = 0; g < 16; ++g) {
    const float scale = d * static_cast<float>(bits(block.scales[g], 0, 4));
    const float minimum = dmin * static_cast<float>(bits(block.scales[g], 4, 4));
    for (std::size_t i = 16 * g; i < 16 * (g + 1); ++i) {
      x[i] = scale * static_cast<float>(two_bits(block.codes, i)) - minimum;
    }
  }
}

void decode(const BlockQ3_K& block, Values<BlockQ3_K> x) {
  const float d = half(block.d);
  for (std::size_t g = 0; g < 16; ++g) {
    const int low = bits(block.scales[g % 8], 4 * (g / 8), 4);
    const int high = bits(block.scales[8 + g % 4], 2 * (g / 4), 2);
    const float scale = d * static_cast<float>(low + 16 * high - 32);
    for (std::size_t i = 16 * g; i < 16 * (g + 1); ++i) {
      const int code = two_bits(block.codes, i) + 4 * bits(block.high[i % 32], i / 32, 1);
      x[i] = scale * static_cast<float>(code - 4);
    }
  }
}

// scale[g] and min[g] of Q4_K and Q5_K.
struct ScaleAndMinimum {
  int scale;
  int minimum;
};
ScaleAndMinimum scale_and_minimum(const std::uint8_t (&scales)[12], std::size_t g) {
  if (g < 4) return {bits(scales[g], 0, 6), bits(scales[g + 4], 0, 6)};
  return {bits(scales[g + 4], 0, 4) + 16 * bits(scales[g - 4], 6, 2),
          bits(scales[g + 4], 4, 4) + 16 * bits(scales[g], 6, 2)};
}

void decode(const BlockQ4_K& block, Values<BlockQ4_K> x) {
  const float d = half(block.d);
  const float dmin = half(block.dmin);
  for (std::size_t g = 0; g < 8; ++g) {
    const ScaleAndMinimum group = scale_and_minimum(block.scales, g);
    const float scale = d * static_cast<float>(group.scale);
    const float minimum = dmin * static_cast<float>(group.minimum);
    for (std::size_t i = 0; i < 32; ++i) {
      const int code = bits(block.codes[32 * (g / 2) + i], 4 * (g % 2), 4);
      x[32 * g + i] = scale * static_cast<float>(code) - minimum;
    }
  }
}

void decode(const BlockQ5_K& block, Values<BlockQ5_K> x) {
  const float d = half(block.d);
  const float dmin = half(block.dmin);
  for (std::size_t g = 0; g < 8; ++g) {
    const ScaleAndMinimum group = scale_and_minimum(block.scales, g);
    const float scale = d * static_cast<float>(group.scale);
    const float minimum = dmin * static_cast<float>(group.minimum);
    for (std::size_t i = 0; i < 32; ++i) {
      const int code = bits(block.codes[32 * (g / 2) + i], 4 * (g % 2), 4) + 16 * bits(block.high[i], g, 1);
      x[32 * g + i] = scale * static_cast<float>(code) - minimum;
    }
  }
}

void decode(const BlockQ6_K& block, Values<BlockQ6_K> x) {
  const float d = half(block.d);
  for (std::size_t g = 0; g < 16; ++g) {
    const float scale = d * static_cast<float>(block.scales[g]);
    for (std::size_t i = 16 * g; i < 16 * (g + 1); ++i) {
      const int low = nibble(block.codes + 64 * (i / 128), 64, i % 128);
      x[i] = scale * static_cast<float>(low + 16 * two_bits(block.high, i) - 32);
    }
  }
}

// Digit n of a byte of TQ1_0: the byte is a fraction of 256 in base 3, rounded up; 3^n moves digit n to the front.
int ternary_digit(std::uint8_t byte, std::size_t n) {
  constexpr std::array<unsigned, 5> kPowers{1, 3, 9, 27, 81};
  return bits(((byte * kPowers[n]) & 0xffU) * 3U, 8, 2);
}

void decode(const BlockTQ1_0& block, Values<BlockTQ1_0> x) {
  const float d = half(block.d);
  const auto value = [d](std::uint8_t byte, std::size_t n) {
    return d * static_cast<float>(ternary_digit(byte, n) - 1);
  };
  for (std::size_t i = 0; i < 160; ++i) x[i] = value(block.codes[i % 32], i / 32);
  for (std::size_t i = 0; i < 80; ++i) x[160 + i] = value(block.codes[32 + i % 16], i / 16);
  for (std::size_t i = 0; i < 16; ++i) x[240 + i] = value(block.last[i % 4], i / 4);
}

void decode(const BlockTQ2_0& block, Values<BlockTQ2_0> x) {
  const float d = half(block.d);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = d * static_cast<float>(two_bits(block.codes, i) - 1);
}

void decode(const BlockIQ4_XS& block, Values<BlockIQ4_XS> x) {
  const float d = half(block.d);
  for (std::size_t g = 0; g < 8; ++g) {
    const int scale = bits(block.scales_low[g / 2], 4 * (g % 2), 4) + 16 * bits(block.scales_high, 2 * g, 2);
    const float group_scale = d * static_cast<float>(scale - 32);
    for (std::size_t i = 0; i < 32; ++i) {
      x[32 * g + i] = group_scale * kLevelsIQ4[static_cast<std::size_t>(nibble(block.codes + 16 * g, 16, i))];
    }
  }
}

// ---- 256 values a block, by codebook --------------------------------------------------------------------------------

// Value k of a codebook's entry with eight, or four, values.
float level8(std::uint16_t entry, std::size_t k, const std::array<float, 4>& levels) {
  return levels[static_cast<std::size_t>(bits(entry, 2 * k, 2))];
}
float level4(std::uint16_t entry, std::size_t k, const std::array<float, 8>& levels) {
  return levels[static_cast<std::size_t>(bits(entry, 4 * k, 3))];
}

// x with its sign turned where bit k of signs is set.
float with_sign(float x, int signs, std::size_t k) {
  return bits(static_cast<std::uint32_t>(signs), k, 1) == 1 ? -x : x;
}

// Eight signs from a code of seven bits.
int signs8(int code) {
  return code + 128 * (std::popcount(static_cast<unsigned>(code)) % 2);
}

std::size_t index_of(std::uint8_t low, int high) {
  return low + 256 * static_cast<std::size_t>(high);
}

void decode(const BlockIQ2_XXS& block, Values<BlockIQ2_XXS> x) {
  const float d = half(block.d);
  for (std::size_t g = 0; g < 8; ++g) {
    const BlockIQ2_XXS::Group& group = block.groups[g];
    const std::uint32_t w = word(group.signs_and_scale);
    const float scale = d * (0.5F + static_cast<float>(bits(w, 28, 4))) * 0.25F;
    for (std::size_t v = 0; v < 4; ++v) {
      const std::uint16_t entry = kCodebookIQ2_XXS[group.index[v]];
      const int signs = signs8(bits(w, 7 * v, 7));
      for (std::size_t k = 0; k < 8; ++k) {
        x[32 * g + 8 * v + k] = with_sign(scale * level8(entry, k, kLevelsIQ2), signs, k);
      }
    }
  }
}

void decode(const BlockIQ2_XS& block, Values<BlockIQ2_XS> x) {
  const float d = half(block.d);
  for (std::size_t v = 0; v < 32; ++v) {  // vectors of eight values; two make a group
    const int scale = bits(block.scales[v / 4], 4 * (v / 2 % 2), 4);
    const float group_scale = d * (0.5F + static_cast<float>(scale)) * 0.25F;
    const std::uint16_t entry = kCodebookIQ2_XS[static_cast<std::size_t>(bits(block.codes[v], 0, 9))];
    const int signs = signs8(bits(block.codes[v], 9, 7));
    for (std::size_t k = 0; k < 8; ++k) x[8 * v + k] = with_sign(group_scale * level8(entry, k, kLevelsIQ2), signs, k);
  }
}

void decode(const BlockIQ2_S& block, Values<BlockIQ2_S> x) {
  const float d = half(block.d);
  for (std::size_t v = 0; v < 32; ++v) {
    const int scale = bits(block.scales[v / 4], 4 * (v / 2 % 2), 4);
    const float group_scale = d * (0.5F + static_cast<float>(scale)) * 0.25F;
    const int high = bits(block.index_high[v / 4], 2 * (v % 4), 2);
    const std::uint16_t entry = kCodebookIQ2_S[index_of(block.index_low[v], high)];
    for (std::size_t k = 0; k < 8; ++k) {
      x[8 * v + k] = with_sign(group_scale * level8(entry, k, kLevelsIQ2), block.signs[v], k);
    }
  }
}

void decode(const BlockIQ3_XXS& block, Values<BlockIQ3_XXS> x) {
  const float d = half(block.d);
  for (std::size_t g = 0; g < 8; ++g) {
    const std::uint32_t w = word(block.signs_and_scales[g]);
    const float scale = d * (0.5F + static_cast<float>(bits(w, 28, 4))) * 0.5F;
    for (std::size_t i = 0; i < 32; ++i) {
      const std::uint16_t entry = kCodebookIQ3_XXS[block.index[8 * g + i / 4]];
      const int signs = signs8(bits(w, 7 * (i / 8), 7));
      x[32 * g + i] = with_sign(scale * level4(entry, i % 4, kLevelsIQ3_XXS), signs, i % 8);
    }
  }
}

void decode(const BlockIQ3_S& block, Values<BlockIQ3_S> x) {
  const float d = half(block.d);
  for (std::size_t g = 0; g < 8; ++g) {
    const float scale = d * static_cast<float>(1 + 2 * bits(block.scales[g / 2], 4 * (g % 2), 4));
    for (std::size_t i = 0; i < 32; ++i) {
      const int high = bits(block.index_high[g], i / 4, 1);
      const std::uint16_t entry = kCodebookIQ3_S[index_of(block.index_low[8 * g + i / 4], high)];
      x[32 * g + i] = with_sign(scale * level4(entry, i % 4, kLevelsIQ3_S), block.signs[4 * g + i / 8], i % 8);
    }
  }
}

// What IQ1_S and IQ1_M add to every value of a codebook's entry.
float iq1_shift(int is_negative) {
  return is_negative == 1 ? -0.125F : 0.125F;
}

void decode(const BlockIQ1_S& block, Values<BlockIQ1_S> x) {
  const float d = half(block.d);
  for (std::size_t v = 0; v < 32; ++v) {  // vectors of eight values; four make a group
    const std::uint16_t high = block.high[v / 4];
    const float scale = d * static_cast<float>(2 * bits(high, 12, 3) + 1);
    const float shift = iq1_shift(bits(high, 15, 1));
    const std::uint16_t entry = kCodebookIQ1_S[index_of(block.index_low[v], bits(high, 3 * (v % 4), 3))];
    for (std::size_t k = 0; k < 8; ++k) x[8 * v + k] = scale * (level8(entry, k, kLevelsIQ1) + shift);
  }
}

void decode(const BlockIQ1_M& block, Values<BlockIQ1_M> x) {
  int d_bits = 0;
  for (std::size_t n = 0; n < 4; ++n) d_bits |= bits(block.scales[n], 12, 4) << (4 * n);
  const float d = half(static_cast<std::uint16_t>(d_bits));
  for (std::size_t v = 0; v < 32; ++v) {  // vectors of eight values; two make a group
    const std::size_t g = v / 2;
    const float scale = d * static_cast<float>(2 * bits(block.scales[g / 4], 3 * (g % 4), 3) + 1);
    const int high = bits(block.high[g], 4 * (v % 2), 4);
    const float shift = iq1_shift(high >> 3);
    const std::uint16_t entry = kCodebookIQ1_S[index_of(block.index_low[v], high & 7)];
    for (std::size_t k = 0; k < 8; ++k) x[8 * v + k] = scale * (level8(entry, k, kLevelsIQ1) + shift);
  }
}

// ---- rows -----------------------------------------------------------------------------------------------------------

using RowDecoder = void (*)(const std::byte* src, std::span<float> out);

// Blocks are copied out, since they may lie at any address.
template <typename Block>
void decode_blocks(const std::byte* src, std::span<float> out) {
  for (; !out.empty(); out = out.subspan(Block::kValues), src += sizeof(Block)) {
    Block block;
    std::memcpy(&block, src, sizeof(Block));
    decode(block, out.first<Block::kValues>());
  }
}

template <typename T>
void decode_floats(const std::byte* src, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, src + i * sizeof(T), sizeof(T));
    if constexpr (std::is_floating_point_v<T>) {
      out[i] = static_cast<float>(value);
    } else {
      out[i] = to_float(value);
    }
  }
}

// Null for types that dequantize_row does not know.
RowDecoder row_decoder(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return decode_floats<float>;
    case DType::kF16:
      return decode_floats<F16>;
    case DType::kBF16:
      return decode_floats<BF16>;
    case DType::kF64:
      return decode_floats<double>;
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
      return nullptr;
    case DType::kQ4_0:
      return decode_blocks<BlockQ4_0>;
    case DType::kQ4_1:
      return decode_blocks<BlockQ4_1>;
    case DType::kQ5_0:
      return decode_blocks<BlockQ5_0>;
    case DType::kQ5_1:
      return decode_blocks<BlockQ5_1>;
    case DType::kQ8_0:
      return decode_blocks<BlockQ8_0>;
    case DType::kQ2_K:
      return decode_blocks<BlockQ2_K>;
    case DType::kQ3_K:
      return decode_blocks<BlockQ3_K>;
    case DType::kQ4_K:
      return decode_blocks<BlockQ4_K>;
    case DType::kQ5_K:
      return decode_blocks<BlockQ5_K>;
    case DType::kQ6_K:
      return decode_blocks<BlockQ6_K>;
    case DType::kIQ1_S:
      return decode_blocks<BlockIQ1_S>;
    case DType::kIQ1_M:
      return decode_blocks<BlockIQ1_M>;
    case DType::kIQ2_XXS:
      return decode_blocks<BlockIQ2_XXS>;
    case DType::kIQ2_XS:
      return decode_blocks<BlockIQ2_XS>;
    case DType::kIQ2_S:
      return decode_blocks<BlockIQ2_S>;
    case DType::kIQ3_XXS:
      return decode_blocks<BlockIQ3_XXS>;
    case DType::kIQ3_S:
      return decode_blocks<BlockIQ3_S>;
    case DType::kIQ4_NL:
      return decode_blocks<BlockIQ4_NL>;
    case DType::kIQ4_XS:
      return decode_blocks<BlockIQ4_XS>;
    case DType::kTQ1_0:
      return decode_blocks<BlockTQ1_0>;
    case DType::kTQ2_0:
      return decode_blocks<BlockTQ2_0>;
    case DType::kMXFP4:
      return decode_blocks<BlockMXFP4>;
    case DType::kNVFP4:
      return decode_blocks<BlockNVFP4>;
  }
  return nullptr;
}

}  // namespace

void dequantize_row(DType dtype, std::span<const std::byte> src, std::span<float> out) noexcept {
  assert(can_dequantize(dtype));
  assert(row_bytes(dtype, out.size()) == src.size());
  row_decoder(dtype)(src.data(), out);
}

bool can_dequantize(DType dtype) {
  return row_decoder(dtype) != nullptr;
}

}  // namespace carat
