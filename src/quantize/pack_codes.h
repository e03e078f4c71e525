// Packing of codes into the blocks of tensor/blocks.h, whose formulas say which bit goes where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/blocks.h"

namespace carat {

// codes: those of the block's values in order, each within the type's range from 0 on.

// 32 codes of 4 bits.
inline void pack_nibbles(const std::uint8_t* codes, std::uint8_t (&bytes)[16]) {
  for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] << 4));
}

// Bit 4 of 32 codes.
inline void pack_fifth_bits(const std::uint8_t* codes, std::uint8_t (&bytes)[4]) {
  for (std::size_t i = 0; i < 4; ++i) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, codes + 8 * i, sizeof(eight));
    // The product has bit 8j, that of code j, at 56 + j: each byte of the factor moves one of them there.
    bytes[i] = static_cast<std::uint8_t>((eight >> 4 & 0x0101010101010101U) * 0x0102040810204080U >> 56);
  }
}

// The low two bits of 256 codes.
inline void pack_pairs(const std::uint8_t* codes, std::uint8_t (&bytes)[64]) {
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint8_t* at = codes + 128 * (i / 32) + i % 32;
    bytes[i] = static_cast<std::uint8_t>((at[0] & 3) | ((at[32] & 3) << 2) | ((at[64] & 3) << 4) | ((at[96] & 3) << 6));
  }
}

// One bit of 256 codes, that of value i into bit i / 32 of byte i % 32.
inline void pack_bit(const std::uint8_t* codes, unsigned bit, std::uint8_t (&bytes)[32]) {
  for (std::size_t i = 0; i < 32; ++i) {
    unsigned bits = 0;
    for (std::size_t j = 0; j < 8; ++j) bits |= (codes[32 * j + i] >> bit & 1U) << j;
    bytes[i] = static_cast<std::uint8_t>(bits);
  }
}

// The low four bits of 256 codes of Q4_K and Q5_K.
inline void pack_nibbles_k(const std::uint8_t* codes, std::uint8_t (&bytes)[128]) {
  for (std::size_t i = 0; i < 128; ++i) {
    const std::uint8_t* at = codes + 64 * (i / 32) + i % 32;
    bytes[i] = static_cast<std::uint8_t>((at[0] & 15) | ((at[32] & 15) << 4));
  }
}

// 256 codes of 6 bits.
inline void pack_q6(const std::uint8_t* codes, BlockQ6_K& block) {
  for (std::size_t i = 0; i < 128; ++i) {
    const std::uint8_t* at = codes + 128 * (i / 64) + i % 64;
    block.codes[i] = static_cast<std::uint8_t>((at[0] & 15) | ((at[64] & 15) << 4));
  }
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint8_t* at = codes + 128 * (i / 32) + i % 32;
    block.high[i] =
        static_cast<std::uint8_t>((at[0] >> 4) | ((at[32] >> 4) << 2) | ((at[64] >> 4) << 4) | ((at[96] >> 4) << 6));
  }
}

// Eight scales and minima of 6 bits, as Q4_K and Q5_K have them.
inline void pack_scales_k(const std::uint8_t* scales, const std::uint8_t* minima, std::uint8_t (&bytes)[12]) {
  for (std::size_t g = 0; g < 4; ++g) {
    bytes[g] = static_cast<std::uint8_t>(scales[g] | ((scales[g + 4] >> 4) << 6));
    bytes[g + 4] = static_cast<std::uint8_t>(minima[g] | ((minima[g + 4] >> 4) << 6));
    bytes[g + 8] = static_cast<std::uint8_t>((scales[g + 4] & 15) | ((minima[g + 4] & 15) << 4));
  }
}

// Sixteen scales of 6 bits, as Q3_K has them.
inline void pack_scales_q3(const std::uint8_t* scales, std::uint8_t (&bytes)[12]) {
  for (std::size_t g = 0; g < 8; ++g)
    bytes[g] = static_cast<std::uint8_t>((scales[g] & 15) | ((scales[g + 8] & 15) << 4));
  for (std::size_t g = 0; g < 4; ++g) {
    bytes[8 + g] = static_cast<std::uint8_t>((scales[g] >> 4) | ((scales[g + 4] >> 4) << 2) |
                                             ((scales[g + 8] >> 4) << 4) | ((scales[g + 12] >> 4) << 6));
  }
}

}  // namespace carat
