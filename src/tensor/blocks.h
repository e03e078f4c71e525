// One struct per quantised block, as it stands in the file, and above it the value of its element i as a formula.
// Source: the block definitions of GGUF (ggml-common.h) and their meaning in gguf-py's quants.py.
//
// Plain data without functions, so that files compiled for one instruction set may include it. Blocks in a file lie at
// any address: copy them out or read bytes. Little-endian. `16-bit float` is an IEEE half (base/float16.h, F16).
//
// In the formulas / is the integer quotient, % the remainder, and bits(v, first, n) the n bits of v from bit `first`
// on.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace carat {

static_assert(std::endian::native == std::endian::little, "blocks are little-endian and used as they stand");

// NOLINTBEGIN(readability-identifier-naming): Q4_K is what everybody calls it

// ---- 32 values a block ----------------------------------------------------------------------------------------------

// A 4-bit code of 32: q[i] = bits(codes[i % 16], 4 * (i / 16), 4). Shared by all blocks here with 16 bytes of codes.

// x[i] = d * (q[i] - 8)
struct BlockQ4_0 {
  static constexpr std::size_t kValues = 32;
  std::uint16_t d;  // 16-bit float
  std::uint8_t codes[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// x[i] = d * q[i] + m
struct BlockQ4_1 {
  static constexpr std::size_t kValues = 32;
  std::uint16_t d;  // 16-bit float
  std::uint16_t m;  // 16-bit float
  std::uint8_t codes[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

// x[i] = d * (q[i] + 16 * bits(high[i / 8], i % 8, 1) - 16)
struct BlockQ5_0 {
  static constexpr std::size_t kValues = 32;
  std::uint16_t d;       // 16-bit float
  std::uint8_t high[4];  // bit 4 of every code
  std::uint8_t codes[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

// x[i] = d * (q[i] + 16 * bits(high[i / 8], i % 8, 1)) + m
struct BlockQ5_1 {
  static constexpr std::size_t kValues = 32;
  std::uint16_t d;       // 16-bit float
  std::uint16_t m;       // 16-bit float
  std::uint8_t high[4];  // bit 4 of every code
  std::uint8_t codes[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

// x[i] = d * codes[i]
struct BlockQ8_0 {
  static constexpr std::size_t kValues = 32;
  std::uint16_t d;  // 16-bit float
  std::int8_t codes[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// x[i] = d * kLevelsIQ4[q[i]]
struct BlockIQ4_NL {
  static constexpr std::size_t kValues = 32;
  std::uint16_t d;  // 16-bit float
  std::uint8_t codes[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// x[i] = 2^(exponent - 128) * kLevelsFp4[q[i]]. The levels are doubled, hence 128 where OCP's E8M0 has 127. As in GGUF
// and unlike OCP's standard, exponent 255 is not NaN.
struct BlockMXFP4 {
  static constexpr std::size_t kValues = 32;
  std::uint8_t exponent;
  std::uint8_t codes[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// ---- 64 values a block ----------------------------------------------------------------------------------------------

// g = i / 16: x[i] = scale(scales[g]) / 2 * kLevelsFp4[bits(codes[8 * g + i % 8], 4 * (i % 16 / 8), 4)]
// scale(s) is E4M3 without sign: with e = bits(s, 3, 4) and f = bits(s, 0, 3),
//   f * 2^-9 if e is 0, else (1 + f / 8) * 2^(e - 7); but 0 for s = 127, E4M3's NaN.
// Halved because the levels are doubled. A tensor may have one more scale, which is a tensor of its own in the file.
struct BlockNVFP4 {
  static constexpr std::size_t kValues = 64;
  std::uint8_t scales[4];
  std::uint8_t codes[32];
};
static_assert(sizeof(BlockNVFP4) == 36);

// ---- 256 values a block ---------------------------------------------------------------------------------------------

// Value i belongs to group g = i / 16 or i / 32, as each comment says first.
// q2[i] = bits(codes[32 * (i / 128) + i % 32], 2 * (i % 128 / 32), 2): a 2-bit code (Q2_K, Q3_K, TQ2_0; `high` in Q6_K)
// q4[i] = bits(codes[32 * (i / 64) + i % 32], 4 * (i % 64 / 32), 4): a 4-bit code (Q4_K, Q5_K)

// g = i / 16: x[i] = d * bits(scales[g], 0, 4) * q2[i] - dmin * bits(scales[g], 4, 4)
struct BlockQ2_K {
  static constexpr std::size_t kValues = 256;
  std::uint8_t scales[16];
  std::uint8_t codes[64];
  std::uint16_t d;     // 16-bit float
  std::uint16_t dmin;  // 16-bit float
};
static_assert(sizeof(BlockQ2_K) == 84);

// g = i / 16: x[i] = d * (scale[g] - 32) * (q2[i] + 4 * bits(high[i % 32], i / 32, 1) - 4)
// scale[g] = bits(scales[g % 8], 4 * (g / 8), 4) + 16 * bits(scales[8 + g % 4], 2 * (g / 4), 2)
struct BlockQ3_K {
  static constexpr std::size_t kValues = 256;
  std::uint8_t high[32];  // bit 2 of every code
  std::uint8_t codes[64];
  std::uint8_t scales[12];
  std::uint16_t d;  // 16-bit float
};
static_assert(sizeof(BlockQ3_K) == 110);

// g = i / 32: x[i] = d * scale[g] * q4[i] - dmin * min[g]
// g < 4:  scale[g] = bits(scales[g], 0, 6)
//         min[g]   = bits(scales[g + 4], 0, 6)
// g >= 4: scale[g] = bits(scales[g + 4], 0, 4) + 16 * bits(scales[g - 4], 6, 2)
//         min[g]   = bits(scales[g + 4], 4, 4) + 16 * bits(scales[g], 6, 2)
struct BlockQ4_K {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;     // 16-bit float
  std::uint16_t dmin;  // 16-bit float
  std::uint8_t scales[12];
  std::uint8_t codes[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// As Q4_K, with a fifth bit.
// g = i / 32: x[i] = d * scale[g] * (q4[i] + 16 * bits(high[i % 32], g, 1)) - dmin * min[g]
struct BlockQ5_K {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;          // 16-bit float
  std::uint16_t dmin;       // 16-bit float
  std::uint8_t scales[12];  // as in Q4_K
  std::uint8_t high[32];    // bit 4 of every code
  std::uint8_t codes[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

// g = i / 16: x[i] = d * scales[g] * (low[i] + 16 * q2[i] - 32), q2 taken from high
// low[i] = bits(codes[64 * (i / 128) + i % 64], 4 * (i % 128 / 64), 4)
struct BlockQ6_K {
  static constexpr std::size_t kValues = 256;
  std::uint8_t codes[128];
  std::uint8_t high[64];  // bits 4 and 5 of every code
  std::int8_t scales[16];
  std::uint16_t d;  // 16-bit float
};
static_assert(sizeof(BlockQ6_K) == 210);

// Ternary, five values a byte: x[i] = d * (digit(b, n) - 1), digit n of byte b being (b * 3^n mod 256) * 3 / 256.
//   i < 160: b = codes[i % 32],          n = i / 32
//   i < 240: b = codes[32 + i % 16],     n = (i - 160) / 16
//   else:    b = last[i % 4],            n = (i - 240) / 4
struct BlockTQ1_0 {
  static constexpr std::size_t kValues = 256;
  std::uint8_t codes[48];
  std::uint8_t last[4];
  std::uint16_t d;  // 16-bit float
};
static_assert(sizeof(BlockTQ1_0) == 54);

// x[i] = d * (q2[i] - 1). Code 3 gives 2 * d, though no encoder writes it.
struct BlockTQ2_0 {
  static constexpr std::size_t kValues = 256;
  std::uint8_t codes[64];
  std::uint16_t d;  // 16-bit float
};
static_assert(sizeof(BlockTQ2_0) == 66);

// g = i / 32: x[i] = d * (scale[g] - 32) * kLevelsIQ4[bits(codes[16 * g + i % 16], 4 * (i % 32 / 16), 4)]
// scale[g] = bits(scales_low[g / 2], 4 * (g % 2), 4) + 16 * bits(scales_high, 2 * g, 2)
struct BlockIQ4_XS {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;  // 16-bit float
  std::uint16_t scales_high;
  std::uint8_t scales_low[4];
  std::uint8_t codes[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// ---- 256 values a block, by codebook --------------------------------------------------------------------------------

// Value i belongs to vector v = i / 8 too, which has eight signs.
// entry[k]     value k of the codebook's entry at `index`; tensor/codebooks.h has one codebook per type
// sign(s)      -1 where bit i % 8 of s is set, else 1
// signs8(c)    eight signs, an even number of them negative, from seven bits: c + 128 * (number of ones in c) % 2

// g = i / 32: x[i] = d * (0.5 + bits(w, 28, 4)) / 4 * sign(signs8(bits(w, 7 * (v % 4), 7))) * entry[i % 8]
// w = groups[g].signs_and_scale as a 32-bit number
// index = groups[g].index[v % 4]
struct BlockIQ2_XXS {
  static constexpr std::size_t kValues = 256;
  struct Group {
    std::uint8_t index[4];
    std::uint8_t signs_and_scale[4];
  };
  std::uint16_t d;  // 16-bit float
  Group groups[8];
};
static_assert(sizeof(BlockIQ2_XXS) == 66);

// g = i / 16: x[i] = d * (0.5 + scale[g]) / 4 * sign(signs8(bits(codes[v], 9, 7))) * entry[i % 8]
// scale[g] = bits(scales[g / 2], 4 * (g % 2), 4)
// index = bits(codes[v], 0, 9)
struct BlockIQ2_XS {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;  // 16-bit float
  std::uint16_t codes[32];
  std::uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_XS) == 74);

// g = i / 16: x[i] = d * (0.5 + scale[g]) / 4 * sign(signs[v]) * entry[i % 8]
// scale[g] = bits(scales[g / 2], 4 * (g % 2), 4)
// index = index_low[v] + 256 * bits(index_high[v / 4], 2 * (v % 4), 2)
struct BlockIQ2_S {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;  // 16-bit float
  std::uint8_t index_low[32];
  std::uint8_t signs[32];
  std::uint8_t index_high[8];
  std::uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_S) == 82);

// g = i / 32: x[i] = d * (0.5 + bits(w, 28, 4)) / 2 * sign(signs8(bits(w, 7 * (v % 4), 7))) * entry[i % 4]
// w = signs_and_scales[g] as a 32-bit number
// index = index[i / 4]
struct BlockIQ3_XXS {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;  // 16-bit float
  std::uint8_t index[64];
  std::uint8_t signs_and_scales[8][4];
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

// g = i / 32: x[i] = d * (1 + 2 * scale[g]) * sign(signs[v]) * entry[i % 4]
// scale[g] = bits(scales[g / 2], 4 * (g % 2), 4)
// index = index_low[i / 4] + 256 * bits(index_high[g], i % 32 / 4, 1)
struct BlockIQ3_S {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;  // 16-bit float
  std::uint8_t index_low[64];
  std::uint8_t index_high[8];
  std::uint8_t signs[32];
  std::uint8_t scales[4];
};
static_assert(sizeof(BlockIQ3_S) == 110);

// g = i / 32: x[i] = d * (2 * bits(high[g], 12, 3) + 1) * (entry[i % 8] + shift)
// shift = -1/8 where bits(high[g], 15, 1) is 1, else 1/8
// index = index_low[v] + 256 * bits(high[g], 3 * (v % 4), 3)
struct BlockIQ1_S {
  static constexpr std::size_t kValues = 256;
  std::uint16_t d;  // 16-bit float
  std::uint8_t index_low[32];
  std::uint16_t high[8];
};
static_assert(sizeof(BlockIQ1_S) == 50);

// g = i / 16: x[i] = d * (2 * bits(scales[g / 4], 3 * (g % 4), 3) + 1) * (entry[i % 8] + shift)
// shift = -1/8 where bits(h, 3, 1) is 1, else 1/8; h = bits(high[g], 4 * (v % 2), 4)
// index = index_low[v] + 256 * bits(h, 0, 3)
// d is the 16-bit float whose four nibbles, the lowest first, are bits 12 to 15 of scales[0] to scales[3].
struct BlockIQ1_M {
  static constexpr std::size_t kValues = 256;
  std::uint8_t index_low[32];
  std::uint8_t high[16];
  std::uint16_t scales[4];
};
static_assert(sizeof(BlockIQ1_M) == 56);

// NOLINTEND(readability-identifier-naming)

}  // namespace carat
