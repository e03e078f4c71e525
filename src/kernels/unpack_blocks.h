// Block<S, dtype>::unpack: a block of each of 16 rows to 8-bit codes, scales and minimums, written once over a register
// vocabulary S (simd_*.h). reference_blocks.h has the same layouts one value at a time.
//
// Fields are loaded in the order in which they lie, as far as possible: the processor foresees only ascending reads
// (Q6_K and one token on Zen 4: 18 GB/s with its scales loaded first, which come last, and 24 without; 21.5 with upper
// bits loaded before the lower ones, and 24 after them).
//
// Rows are loaded 16 bytes at a time and transposed in registers to four `columns`, whose lanes hold four bytes of a
// row: what a panel stores for four matrix columns. Fields narrower than a byte are then cut out of all 64 bytes at
// once by a shift of the 32-bit lanes and a mask per byte.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/loops_math.h"
#include "kernels/panel_formats.h"
#include "kernels/unroll.h"

namespace carat::loops {

// A block of each of 16 rows. Its loads also prefetch as much of what is read later (WeightRows): so memory is read in
// one ascending stream, well ahead, in whatever order the fields of a block are loaded; the rows themselves are often
// too short for the processor to foresee them.
template <typename S>
struct BlockSource {
  typename S::Rows rows;
  const std::byte* later;  // what is fetched while this block is read
  const std::byte* ahead = later;

  void advance(std::size_t bytes) {
    rows.advance(bytes);
    later += kPanelRows * bytes;
    ahead = later;
  }
  // For a load of so many bytes of each row.
  template <std::size_t kBytes>
  [[gnu::always_inline]] void prefetch() {
    for (std::size_t i = 0; i < kPanelRows * kBytes; i += 64) S::prefetch(ahead + i);
    ahead += kPanelRows * kBytes;
  }
};

// 16 bytes of each row, transposed.
template <typename S>
[[gnu::always_inline]] inline typename S::Columns load_rows(BlockSource<S>& from, std::size_t offset) {
  from.template prefetch<16>();
  return S::load_rows(from.rows, offset);
}

// 16 bytes of codes of each row, as the target wants them: transposed, or four rows side by side.
template <typename S, typename To>
[[gnu::always_inline]] inline typename S::Columns load_codes(BlockSource<S>& from, std::size_t offset, const To&) {
  if constexpr (To::kTransposes) {
    return load_rows<S>(from, offset);
  } else {
    from.template prefetch<16>();
    return S::load_rows_as_they_lie(from.rows, offset);
  }
}

// The first four of 16 bytes of each row: where that many may be read, the quickest way to a number of each row.
template <typename S>
[[gnu::always_inline]] inline typename S::I32 load_first_column(BlockSource<S>& from, std::size_t offset) {
  from.template prefetch<4>();
  return S::load_first_column(from.rows, offset);
}

// A number of each row.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 load_f16_column(BlockSource<S>& from, std::size_t offset) {
  from.template prefetch<2>();
  return S::load_f16_column(from.rows, offset);
}

// The f16 that a block begins with; 16 bytes from there on may be read.
template <typename S>
[[gnu::always_inline]] inline typename S::F32 load_scales(BlockSource<S>& from) {
  from.template prefetch<2>();
  return S::load_scales(from.rows);
}

template <typename S>
[[gnu::always_inline]] inline typename S::I32 load_32_column(BlockSource<S>& from, std::size_t offset) {
  from.template prefetch<4>();
  return S::load_32_column(from.rows, offset);
}

// A block goes to a target, of which this is one: the panel, from the block's first column on. What else unpacks may
// take the same calls: codes of matrix columns first .. first + 3 of the block, in any order; scale and minimum of a
// group, before its codes or after.
template <typename S>
struct PanelTarget {
  static constexpr bool kTransposes = true;

  std::uint8_t* first_codes;
  float* scales;
  float* minimums;

  [[gnu::always_inline]] void codes(std::size_t first, typename S::I32 values) {
    S::store_i32(first_codes + first * kPanelRows, values);
  }
  [[gnu::always_inline]] void scale(std::size_t group, typename S::F32 value) {
    S::store(scales + group * kPanelRows, value);
  }
  [[gnu::always_inline]] void minimum(std::size_t group, typename S::F32 value) {
    S::store(minimums + group * kPanelRows, value);
  }
};

// The values of the 4-bit codes of IQ4_NL and IQ4_XS plus 128, and twice the values of 4-bit floats (E2M1) plus 12.
constexpr std::uint8_t kIq4Codes[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
constexpr std::uint8_t kFp4Codes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Bits `first` .. of every byte, moved to bit `to`; mask_byte keeps what belongs there.
template <typename S, int kFirst, int kTo, std::uint32_t kMaskByte>
[[gnu::always_inline]] inline typename S::I32 byte_field(typename S::I32 v) {
  if constexpr (kFirst > kTo) v = S::template shr<kFirst - kTo>(v);
  if constexpr (kFirst < kTo) v = S::template shl<kTo - kFirst>(v);
  return S::bit_and(v, S::set1_i32(kMaskByte * 0x01010101U));
}

// kBits bits of every 32-bit lane, from bit kFirst on.
template <typename S, int kFirst, int kBits>
[[gnu::always_inline]] inline typename S::I32 lane_field(typename S::I32 v) {
  if constexpr (kFirst > 0) v = S::template shr<kFirst>(v);
  if constexpr (kFirst + kBits < 32) v = S::bit_and(v, S::set1_i32((1U << kBits) - 1U));
  return v;
}

template <typename S>
[[gnu::always_inline]] inline typename S::F32 lower_f16(typename S::I32 pair) {
  return S::from_f16(lane_field<S, 0, 16>(pair));
}

template <typename S>
[[gnu::always_inline]] inline typename S::F32 upper_f16(typename S::I32 pair) {
  return S::from_f16(lane_field<S, 16, 16>(pair));
}

// 16 bytes of nibbles: the lower ones are columns first_low .. + 15, the upper ones first_high .. + 15.
// finish_low(nibbles, quad) and finish_high make codes of the nibbles of the quad-th four columns.
template <typename S, typename To, typename Low, typename High>
[[gnu::always_inline]] inline void split_nibbles(const typename S::Columns& bytes, To& to, std::size_t first_low,
                                                 std::size_t first_high, const Low& finish_low,
                                                 const High& finish_high) {
  unroll<4>([&](auto quad) {
    constexpr std::size_t kQuad = decltype(quad)::kValue;
    const auto low = byte_field<S, 0, 0, 0x0f>(bytes.at[kQuad]);
    const auto high = byte_field<S, 4, 0, 0x0f>(bytes.at[kQuad]);
    to.codes(first_low + 4 * kQuad, finish_low(low, quad));
    to.codes(first_high + 4 * kQuad, finish_high(high, quad));
  });
}

// The same of those at `offset`.
template <typename S, typename To, typename Low, typename High>
[[gnu::always_inline]] inline void split_nibbles(BlockSource<S>& from, std::size_t offset, To& to,
                                                 std::size_t first_low, std::size_t first_high, const Low& finish_low,
                                                 const High& finish_high) {
  split_nibbles<S>(load_codes<S>(from, offset, to), to, first_low, first_high, finish_low, finish_high);
}

template <typename S, typename To>
[[gnu::always_inline]] inline void split_nibbles(BlockSource<S>& from, std::size_t offset, To& to,
                                                 std::size_t first_low, std::size_t first_high) {
  const auto as_they_are = [](typename S::I32 nibbles, auto) { return nibbles; };
  split_nibbles<S>(from, offset, to, first_low, first_high, as_they_are, as_they_are);
}

// The same where lower and upper nibbles belong to different groups: a target that divides a group's dots by 16 takes
// upper nibbles where they lie in their bytes.
template <typename S, typename To>
[[gnu::always_inline]] inline void split_nibbles_of_groups(BlockSource<S>& from, std::size_t offset, To& to,
                                                           std::size_t first_low, std::size_t first_high) {
  if constexpr (requires { to.upper_nibbles(first_high, typename S::I32()); }) {
    const auto bytes = load_codes<S>(from, offset, to);
    unroll<4>([&](auto quad) {
      constexpr std::size_t kQuad = decltype(quad)::kValue;
      to.codes(first_low + 4 * kQuad, S::bit_and(bytes.at[kQuad], S::set1_i32(0x0f0f0f0fU)));
      to.upper_nibbles(first_high + 4 * kQuad, S::bit_and(bytes.at[kQuad], S::set1_i32(0xf0f0f0f0U)));
    });
  } else {
    split_nibbles<S>(from, offset, to, first_low, first_high);
  }
}

// The nibbles are numbers of bytes in a table.
template <typename S, typename To>
[[gnu::always_inline]] inline void look_up_nibbles(BlockSource<S>& from, std::size_t offset,
                                                   const std::uint8_t (&table)[16], To& to, std::size_t first_low,
                                                   std::size_t first_high) {
  const auto look_up = [&table](typename S::I32 nibbles, auto) { return S::lookup(table, nibbles); };
  split_nibbles<S>(from, offset, to, first_low, first_high, look_up, look_up);
}

// Q5_0, Q5_1: bit i of a lane of `high` is the fifth bit of column i.
template <typename S, typename To>
[[gnu::always_inline]] inline void split_nibbles_with_fifth_bits(BlockSource<S>& from, std::size_t offset,
                                                                 typename S::I32 high, To& to) {
  // The product puts copies of four bits 7 apart, so that bit i arrives at bit 4 of byte i; the mask drops the others.
  const auto spread = [](typename S::I32 four_bits) {
    return S::bit_and(S::mul_i32(four_bits, S::set1_i32(0x02040810U)), S::set1_i32(0x10101010U));
  };
  const auto low_half = [&](typename S::I32 nibbles, auto quad) {
    return S::bit_or(nibbles, spread(lane_field<S, 4 * decltype(quad)::kValue, 4>(high)));
  };
  const auto high_half = [&](typename S::I32 nibbles, auto quad) {
    return S::bit_or(nibbles, spread(lane_field<S, 16 + 4 * decltype(quad)::kValue, 4>(high)));
  };
  split_nibbles<S>(from, offset, to, 0, 16, low_half, high_half);
}

// Q4_K, Q5_K: f16 d, f16 dmin and 12 bytes of eight 6-bit scales and minimums at the start of the block.
template <typename S, typename To>
[[gnu::always_inline]] inline void unpack_k_scales(BlockSource<S>& from, To& to) {
  const auto header = load_rows<S>(from, 0);
  const auto d = lower_f16<S>(header.at[0]);
  const auto d_min = upper_f16<S>(header.at[0]);
  unroll<4>([&](auto index) {
    constexpr int kIndex = decltype(index)::kValue;
    const auto scale = lane_field<S, 8 * kIndex, 6>(header.at[1]);
    const auto minimum = lane_field<S, 8 * kIndex, 6>(header.at[2]);
    const auto scale_top = S::template shl<4>(lane_field<S, 8 * kIndex + 6, 2>(header.at[1]));
    const auto minimum_top = S::template shl<4>(lane_field<S, 8 * kIndex + 6, 2>(header.at[2]));
    const auto late_scale = S::bit_or(lane_field<S, 8 * kIndex, 4>(header.at[3]), scale_top);
    const auto late_minimum = S::bit_or(lane_field<S, 8 * kIndex + 4, 4>(header.at[3]), minimum_top);
    to.scale(kIndex, S::mul(d, S::to_f32(scale)));
    to.scale(4 + kIndex, S::mul(d, S::to_f32(late_scale)));
    to.minimum(kIndex, S::mul(d_min, S::to_f32(minimum)));
    to.minimum(4 + kIndex, S::mul(d_min, S::to_f32(late_minimum)));
  });
}

template <typename S, DType kDType>
struct Block;

template <typename S>
struct Block<S, DType::kQ4_0> {
  static constexpr std::size_t kBytes = 18, kValues = 32;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    to.scale(0, load_scales<S>(from));
    split_nibbles<S>(from, 2, to, 0, 16);
  }
};

template <typename S>
struct Block<S, DType::kQ4_1> {
  static constexpr std::size_t kBytes = 20, kValues = 32;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    const auto header = load_first_column<S>(from, 0);
    to.scale(0, lower_f16<S>(header));
    to.minimum(0, negative<S>(upper_f16<S>(header)));
    split_nibbles<S>(from, 4, to, 0, 16);
  }
};

template <typename S>
struct Block<S, DType::kQ5_0> {
  static constexpr std::size_t kBytes = 22, kValues = 32;
  static constexpr bool kNeedsColumns = true;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    to.scale(0, load_scales<S>(from));
    split_nibbles_with_fifth_bits<S>(from, 6, load_first_column<S>(from, 2), to);
  }
};

template <typename S>
struct Block<S, DType::kQ5_1> {
  static constexpr std::size_t kBytes = 24, kValues = 32;
  static constexpr bool kNeedsColumns = true;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    const auto header = load_first_column<S>(from, 0);
    to.scale(0, lower_f16<S>(header));
    to.minimum(0, negative<S>(upper_f16<S>(header)));
    split_nibbles_with_fifth_bits<S>(from, 8, load_first_column<S>(from, 4), to);
  }
};

template <typename S>
struct Block<S, DType::kQ8_0> {
  static constexpr std::size_t kBytes = 34, kValues = 32;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    to.scale(0, load_scales<S>(from));
    unroll<2>([&](auto half) {
      constexpr std::size_t kHalf = decltype(half)::kValue;
      const auto bytes = load_codes<S>(from, 2 + 16 * kHalf, to);
      unroll<4>([&](auto quad) {
        constexpr std::size_t kQuad = decltype(quad)::kValue;
        const auto codes = S::bit_xor(bytes.at[kQuad], S::set1_i32(0x80808080U));  // q + 128
        to.codes(16 * kHalf + 4 * kQuad, codes);
      });
    });
  }
};

template <typename S>
struct Block<S, DType::kQ2_K> {
  static constexpr std::size_t kBytes = 84, kValues = 256;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    const auto packed = load_rows<S>(from, 0);
    unroll<4>([&](auto run) {  // bits 2j of 16 bytes belong to the j-th run of 32 columns
      constexpr std::size_t kRun = decltype(run)::kValue;
      const auto bytes = load_codes<S>(from, 16 + 16 * kRun, to);
      unroll<4>([&](auto quad) {
        constexpr std::size_t kFirst = kRun / 2 * 128 + kRun % 2 * 16 + 4 * decltype(quad)::kValue;
        const auto four = bytes.at[decltype(quad)::kValue];
        to.codes(kFirst, byte_field<S, 0, 0, 0x03>(four));
        to.codes(kFirst + 32, byte_field<S, 2, 0, 0x03>(four));
        to.codes(kFirst + 64, byte_field<S, 4, 0, 0x03>(four));
        to.codes(kFirst + 96, byte_field<S, 6, 0, 0x03>(four));
      });
    });
    const auto header = load_32_column<S>(from, 80);
    const auto d = lower_f16<S>(header);
    const auto d_min = upper_f16<S>(header);
    unroll<16>([&](auto group) {
      constexpr int kGroup = decltype(group)::kValue;
      const auto scale = lane_field<S, kGroup % 4 * 8, 4>(packed.at[kGroup / 4]);
      const auto minimum = lane_field<S, kGroup % 4 * 8 + 4, 4>(packed.at[kGroup / 4]);
      to.scale(kGroup, S::mul(d, S::to_f32(scale)));
      to.minimum(kGroup, S::mul(d_min, S::to_f32(minimum)));
    });
  }
};

template <typename S>
struct Block<S, DType::kQ3_K> {
  static constexpr std::size_t kBytes = 110, kValues = 256;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    unroll<2>([&](auto half) {
      constexpr std::size_t kHalf = decltype(half)::kValue;
      const auto high = load_codes<S>(from, 16 * kHalf, to);  // bit i of a byte belongs to the i-th run of 32 columns
      unroll<2>([&](auto part) {
        constexpr std::size_t kPart = decltype(part)::kValue;
        const auto low = load_codes<S>(from, 32 + 32 * kPart + 16 * kHalf, to);
        unroll<4>([&](auto run) {
          constexpr int kRun = decltype(run)::kValue;
          unroll<4>([&](auto quad) {
            constexpr std::size_t kQuad = decltype(quad)::kValue;
            const auto codes = S::bit_or(byte_field<S, 2 * kRun, 0, 0x03>(low.at[kQuad]),
                                         byte_field<S, 4 * kPart + kRun, 2, 0x04>(high.at[kQuad]));
            to.codes(128 * kPart + 32 * kRun + 16 * kHalf + 4 * kQuad, codes);
          });
        });
      });
    });
    // Bytes 94 .. 109: two of the codes, twelve of the scales, f16 d.
    const auto tail = load_rows<S>(from, 94);
    const auto d = upper_f16<S>(tail.at[3]);
    const auto joined = [](typename S::I32 low, typename S::I32 high) {
      return S::bit_or(S::template shr<16>(low), S::template shl<16>(high));
    };
    const typename S::I32 packed[3] = {joined(tail.at[0], tail.at[1]), joined(tail.at[1], tail.at[2]),
                                       joined(tail.at[2], tail.at[3])};
    unroll<16>([&](auto group) {
      constexpr int kGroup = decltype(group)::kValue;
      const auto low = lane_field<S, kGroup % 4 * 8 + kGroup / 8 * 4, 4>(packed[kGroup / 4 % 2]);
      const auto high = lane_field<S, kGroup % 4 * 8 + kGroup / 4 * 2, 2>(packed[2]);
      const auto scale = S::sub_i32(S::bit_or(low, S::template shl<4>(high)), S::set1_i32(32));
      to.scale(kGroup, S::mul(d, S::to_f32(scale)));
    });
  }
};

template <typename S>
struct Block<S, DType::kQ4_K> {
  static constexpr std::size_t kBytes = 144, kValues = 256;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    unpack_k_scales<S>(from, to);
    unroll<8>([&](auto run) {
      constexpr std::size_t kRun = decltype(run)::kValue;
      constexpr std::size_t kFirst = kRun / 2 * 64 + kRun % 2 * 16;
      split_nibbles_of_groups<S>(from, 16 + 16 * kRun, to, kFirst, kFirst + 32);
    });
  }
};

template <typename S>
struct Block<S, DType::kQ5_K> {
  static constexpr std::size_t kBytes = 176, kValues = 256;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    unpack_k_scales<S>(from, to);
    unroll<2>([&](auto half) {
      constexpr std::size_t kHalf = decltype(half)::kValue;
      const auto high = load_codes<S>(from, 16 + 16 * kHalf, to);  // bit g of a byte belongs to group g
      unroll<4>([&](auto pair) {
        constexpr std::size_t kPair = decltype(pair)::kValue;
        const auto even = [&](typename S::I32 nibbles, auto quad) {
          return S::bit_or(nibbles, byte_field<S, 2 * kPair, 4, 0x10>(high.at[decltype(quad)::kValue]));
        };
        const auto odd = [&](typename S::I32 nibbles, auto quad) {
          return S::bit_or(nibbles, byte_field<S, 2 * kPair + 1, 4, 0x10>(high.at[decltype(quad)::kValue]));
        };
        constexpr std::size_t kFirst = 64 * kPair + 16 * kHalf;
        split_nibbles<S>(from, 48 + 32 * kPair + 16 * kHalf, to, kFirst, kFirst + 32, even, odd);
      });
    });
  }
};

template <typename S>
struct Block<S, DType::kQ6_K> {
  static constexpr std::size_t kBytes = 210, kValues = 256;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    unroll<4>([&](auto index) {  // a part of 128 columns, and of its runs of 32 a half
      constexpr std::size_t kPart = decltype(index)::kValue / 2;
      constexpr std::size_t kHalf = decltype(index)::kValue % 2;
      const typename S::Columns low[] = {load_codes<S>(from, 64 * kPart + 16 * kHalf, to),
                                         load_codes<S>(from, 64 * kPart + 32 + 16 * kHalf, to)};
      const auto high = load_codes<S>(from, 128 + 32 * kPart + 16 * kHalf, to);  // bits 2j of a byte belong to run j
      unroll<2>([&](auto run) {
        constexpr int kRun = decltype(run)::kValue;
        const auto lower = [&](typename S::I32 nibbles, auto quad) {
          return S::bit_or(nibbles, byte_field<S, 2 * kRun, 4, 0x30>(high.at[decltype(quad)::kValue]));
        };
        const auto upper = [&](typename S::I32 nibbles, auto quad) {
          return S::bit_or(nibbles, byte_field<S, 4 + 2 * kRun, 4, 0x30>(high.at[decltype(quad)::kValue]));
        };
        constexpr std::size_t kFirst = 128 * kPart + 32 * kRun + 16 * kHalf;
        split_nibbles<S>(low[kRun], to, kFirst, kFirst + 64, lower, upper);
      });
    });
    const auto d = load_f16_column<S>(from, 208);
    const auto packed = load_rows<S>(from, 192);
    unroll<16>([&](auto group) {
      constexpr int kGroup = decltype(group)::kValue;
      const auto scale = S::template sar<24>(S::template shl<24 - kGroup % 4 * 8>(packed.at[kGroup / 4]));
      to.scale(kGroup, S::mul(d, S::to_f32(scale)));
    });
  }
};

template <typename S>
struct Block<S, DType::kIQ4_NL> {
  static constexpr std::size_t kBytes = 18, kValues = 32;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    to.scale(0, load_scales<S>(from));
    look_up_nibbles<S>(from, 2, kIq4Codes, to, 0, 16);
  }
};

template <typename S>
struct Block<S, DType::kIQ4_XS> {
  static constexpr std::size_t kBytes = 136, kValues = 256;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    const auto header = load_rows<S>(from, 0);  // f16 d, upper pairs of the scales; their lower nibbles; codes
    const auto d = lower_f16<S>(header.at[0]);
    unroll<8>([&](auto group) {
      constexpr int kGroup = decltype(group)::kValue;
      const auto low = lane_field<S, 4 * kGroup, 4>(header.at[1]);
      const auto high = lane_field<S, 16 + 2 * kGroup, 2>(header.at[0]);
      const auto scale = S::sub_i32(S::bit_or(low, S::template shl<4>(high)), S::set1_i32(32));
      to.scale(kGroup, S::mul(d, S::to_f32(scale)));
    });
    unroll<8>([&](auto run) {
      constexpr std::size_t kRun = decltype(run)::kValue;
      look_up_nibbles<S>(from, 8 + 16 * kRun, kIq4Codes, to, 32 * kRun, 32 * kRun + 16);
    });
  }
};

template <typename S>
struct Block<S, DType::kMXFP4> {
  static constexpr std::size_t kBytes = 17, kValues = 32;
  static constexpr bool kNeedsColumns = false;
  template <typename To>
  [[gnu::always_inline]] static void unpack(BlockSource<S>& from, To& to) {
    // 2^(e - 128): the exponent field is e - 1, but for e < 2 the number is subnormal, (e + 1) 2^-128, whose bits are
    // larger than those of the field only then.
    const auto e = lane_field<S, 0, 8>(load_first_column<S>(from, 0));
    const auto normal = S::template shl<23>(S::sub_i32(e, S::set1_i32(1)));
    const auto subnormal = S::template shl<21>(S::add_i32(e, S::set1_i32(1)));
    to.scale(0, S::floats(S::max_i32(normal, subnormal)));
    look_up_nibbles<S>(from, 1, kFp4Codes, to, 0, 16);
  }
};

}  // namespace carat::loops
