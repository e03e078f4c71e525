// Decodes one block of each quantised type that has an 8-bit panel, in plain loops, for the reference table:
//     weight = scale * (code - zero) - minimum
// with the scales as exact products (11 bits of f16 times 6 or 8). Byte offsets are those of the GGUF blocks.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/float16.h"
#include "tensor/dtype_id.h"

namespace carat::reference {

struct DecodedBlock {
  std::uint8_t codes[256];
  float scales[16];  // one per group
  float minimums[16];
};

// The 16 values of the 4-bit codes of IQ4_NL and IQ4_XS.
inline constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of the 4-bit floats (E2M1) of MXFP4.
inline constexpr std::int8_t kFp4Halves[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

inline float f16_at(const std::uint8_t* p) {
  return to_float(F16{static_cast<std::uint16_t>(p[0] | p[1] << 8)});
}

inline std::uint32_t u32_at(const std::uint8_t* p) {
  return static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
         static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}

// `count` bits of `value` from bit `first` on.
inline std::uint8_t bits_of(std::uint32_t value, std::size_t first, std::size_t count) {
  return static_cast<std::uint8_t>((value >> first) & ((1U << count) - 1U));
}

// 16 bytes to 32 codes: the lower nibbles first, then the upper ones.
inline void split_nibbles(const std::uint8_t* bytes, std::uint8_t* codes) {
  for (std::size_t i = 0; i < 16; ++i) {
    codes[i] = bits_of(bytes[i], 0, 4);
    codes[i + 16] = bits_of(bytes[i], 4, 4);
  }
}

// Adds the fifth bits of 32 codes.
inline void add_fifth_bits(const std::uint8_t* bytes, std::uint8_t* codes) {
  const std::uint32_t high = u32_at(bytes);
  for (std::size_t i = 0; i < 32; ++i) codes[i] = static_cast<std::uint8_t>(codes[i] | bits_of(high, i, 1) << 4);
}

// The eight 6-bit scales and minimums of Q4_K and Q5_K in 12 bytes: the first four of each lie in the lower 6 bits of
// bytes 0 .. 7, the others in the nibbles of bytes 8 .. 11, with their upper bits on top of the first ones.
inline void decode_k_scales(const std::uint8_t* block, DecodedBlock& out) {
  const float d = f16_at(block);
  const float d_min = f16_at(block + 2);
  const std::uint8_t* packed = block + 4;
  for (std::size_t i = 0; i < 4; ++i) {
    out.scales[i] = d * static_cast<float>(bits_of(packed[i], 0, 6));
    out.minimums[i] = d_min * static_cast<float>(bits_of(packed[4 + i], 0, 6));
    out.scales[4 + i] = d * static_cast<float>(bits_of(packed[8 + i], 0, 4) | bits_of(packed[i], 6, 2) << 4);
    out.minimums[4 + i] = d_min * static_cast<float>(bits_of(packed[8 + i], 4, 4) | bits_of(packed[4 + i], 6, 2) << 4);
  }
}

template <DType kDType>
void decode(const std::uint8_t* block, DecodedBlock& out);

// f16 d, 16 bytes of nibbles.
template <>
inline void decode<DType::kQ4_0>(const std::uint8_t* block, DecodedBlock& out) {
  out.scales[0] = f16_at(block);
  split_nibbles(block + 2, out.codes);
}

// f16 d, f16 m (added, so the minimum is -m), 16 bytes of nibbles.
template <>
inline void decode<DType::kQ4_1>(const std::uint8_t* block, DecodedBlock& out) {
  out.scales[0] = f16_at(block);
  out.minimums[0] = -f16_at(block + 2);
  split_nibbles(block + 4, out.codes);
}

// f16 d, 32 fifth bits, 16 bytes of nibbles.
template <>
inline void decode<DType::kQ5_0>(const std::uint8_t* block, DecodedBlock& out) {
  out.scales[0] = f16_at(block);
  split_nibbles(block + 6, out.codes);
  add_fifth_bits(block + 2, out.codes);
}

// f16 d, f16 m, 32 fifth bits, 16 bytes of nibbles.
template <>
inline void decode<DType::kQ5_1>(const std::uint8_t* block, DecodedBlock& out) {
  out.scales[0] = f16_at(block);
  out.minimums[0] = -f16_at(block + 2);
  split_nibbles(block + 8, out.codes);
  add_fifth_bits(block + 4, out.codes);
}

// f16 d, 32 signed bytes.
template <>
inline void decode<DType::kQ8_0>(const std::uint8_t* block, DecodedBlock& out) {
  out.scales[0] = f16_at(block);
  for (std::size_t i = 0; i < 32; ++i) out.codes[i] = block[2 + i] ^ 0x80U;  // q + 128
}

// 16 bytes of scale and minimum nibbles, 64 bytes of 2-bit codes, f16 d, f16 dmin. Bits 2j of 32 bytes are the j-th of
// four runs of 32 values.
template <>
inline void decode<DType::kQ2_K>(const std::uint8_t* block, DecodedBlock& out) {
  const float d = f16_at(block + 80);
  const float d_min = f16_at(block + 82);
  for (std::size_t g = 0; g < 16; ++g) {
    out.scales[g] = d * static_cast<float>(bits_of(block[g], 0, 4));
    out.minimums[g] = d_min * static_cast<float>(bits_of(block[g], 4, 4));
  }
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint8_t byte = block[16 + i / 128 * 32 + i % 32];
    out.codes[i] = bits_of(byte, i % 128 / 32 * 2, 2);
  }
}

// 32 bytes of third bits (bit j of the bytes belongs to the j-th run of 32 values), 64 bytes of 2-bit codes as in Q2_K,
// 12 bytes of 6-bit scales (offset by 32), f16 d.
template <>
inline void decode<DType::kQ3_K>(const std::uint8_t* block, DecodedBlock& out) {
  const float d = f16_at(block + 108);
  const std::uint8_t* packed = block + 96;
  for (std::size_t g = 0; g < 16; ++g) {
    const std::uint8_t low = bits_of(packed[g % 8], g / 8 * 4, 4);
    const std::uint8_t high = bits_of(packed[8 + g % 4], g / 4 * 2, 2);
    out.scales[g] = d * static_cast<float>((low | high << 4) - 32);
  }
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint8_t low = bits_of(block[32 + i / 128 * 32 + i % 32], i % 128 / 32 * 2, 2);
    out.codes[i] = static_cast<std::uint8_t>(low | bits_of(block[i % 32], i / 32, 1) << 2);
  }
}

// f16 d, f16 dmin, 12 bytes of scales, 128 bytes of nibbles: 32 lower ones are a group, the upper ones the next.
template <>
inline void decode<DType::kQ4_K>(const std::uint8_t* block, DecodedBlock& out) {
  decode_k_scales(block, out);
  for (std::size_t i = 0; i < 256; ++i) out.codes[i] = bits_of(block[16 + i / 64 * 32 + i % 32], i % 64 / 32 * 4, 4);
}

// As Q4_K, with 32 bytes of fifth bits (bit g for group g) before the nibbles.
template <>
inline void decode<DType::kQ5_K>(const std::uint8_t* block, DecodedBlock& out) {
  decode_k_scales(block, out);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint8_t low = bits_of(block[48 + i / 64 * 32 + i % 32], i % 64 / 32 * 4, 4);
    out.codes[i] = static_cast<std::uint8_t>(low | bits_of(block[16 + i % 32], i / 32, 1) << 4);
  }
}

// 128 bytes of lower nibbles, 64 bytes of upper 2-bit pairs, 16 signed scales, f16 d. Of each half of 128 values, runs
// 0 and 1 of 32 are the lower nibbles of 64 bytes, runs 2 and 3 the upper ones; bits 2j of 32 bytes belong to run j.
template <>
inline void decode<DType::kQ6_K>(const std::uint8_t* block, DecodedBlock& out) {
  const float d = f16_at(block + 208);
  for (std::size_t g = 0; g < 16; ++g) out.scales[g] = d * static_cast<float>(static_cast<std::int8_t>(block[192 + g]));
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint8_t low = bits_of(block[i / 128 * 64 + i % 64], i % 128 / 64 * 4, 4);
    const std::uint8_t high = bits_of(block[128 + i / 128 * 32 + i % 32], i % 128 / 32 * 2, 2);
    out.codes[i] = static_cast<std::uint8_t>(low | high << 4);
  }
}

// f16 d, 16 bytes of nibbles that number a value of the table.
template <>
inline void decode<DType::kIQ4_NL>(const std::uint8_t* block, DecodedBlock& out) {
  out.scales[0] = f16_at(block);
  split_nibbles(block + 2, out.codes);
  for (std::size_t i = 0; i < 32; ++i) out.codes[i] = static_cast<std::uint8_t>(kIq4Values[out.codes[i]] + 128);
}

// f16 d, 16 bits with the upper pairs of eight scales, 4 bytes with their lower nibbles (offset by 32), 128 bytes:
// eight groups of nibbles as in IQ4_NL.
template <>
inline void decode<DType::kIQ4_XS>(const std::uint8_t* block, DecodedBlock& out) {
  const float d = f16_at(block);
  const std::uint32_t high = u32_at(block) >> 16;
  const std::uint32_t low = u32_at(block + 4);
  for (std::size_t g = 0; g < 8; ++g) {
    out.scales[g] = d * static_cast<float>((bits_of(low, 4 * g, 4) | bits_of(high, 2 * g, 2) << 4) - 32);
    split_nibbles(block + 8 + 16 * g, out.codes + 32 * g);
  }
  for (std::size_t i = 0; i < 256; ++i) out.codes[i] = static_cast<std::uint8_t>(kIq4Values[out.codes[i]] + 128);
}

// A byte e, the scale 2^(e - 127), halved here as the codes are doubled; 16 bytes of nibbles that number a 4-bit float.
template <>
inline void decode<DType::kMXFP4>(const std::uint8_t* block, DecodedBlock& out) {
  const std::uint32_t e = block[0];
  out.scales[0] = std::bit_cast<float>(e < 2 ? 0x00200000U << e : (e - 1) << 23);  // e < 2: subnormal
  split_nibbles(block + 1, out.codes);
  for (std::size_t i = 0; i < 32; ++i) out.codes[i] = static_cast<std::uint8_t>(kFp4Halves[out.codes[i]] + 12);
}

}  // namespace carat::reference
