// KernelTable: a function pointer per primitive of the forward pass, with its formula, its aliasing and its rounding.
// One table per instruction set; cpu.h picks one. This header and what it includes is all that a file compiled with
// instruction-set flags may see of carat (an inline function shared with other files could end up compiled for a
// processor that isn't there).
//
// The rounding below is a promise, the same for every table: sums run in the stated order with fused multiply-adds,
// so that the same inputs give the same bits on every instruction set, in any batch and with any number of threads.
// Products by pairs, which towers alone use, promise the latter two only.
// (Where a result is NaN, every table gives a NaN, but its sign and payload are free.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype_id.h"

namespace carat {

// What a table may need of a processor.
enum CpuFeature : std::uint32_t {
  kAvx2 = 1U << 0,    // with FMA and F16C, as every processor that has AVX2
  kAvx512 = 1U << 1,  // F, BW, DQ, VL
  kAvx512Vnni = 1U << 2,
  kAmxInt8 = 1U << 3,  // tiles of 8-bit integers
  kNeonDotprod = 1U << 4,
  kNeonI8mm = 1U << 5,
  kAmxBf16 = 1U << 6,  // tiles of bf16, and AVX512-BF16
};

// Weight rows are worked on sixteen at a time: a panel holds the same columns of 16 rows side by side, so that one
// vector register holds one column of 16 rows (two or four registers on narrower machines) and no sum ever runs
// across a register.
inline constexpr std::size_t kPanelRows = 16;

// Activations are quantised in blocks of 32 values with one scale each, and carry the sums of their 16-value halves.
inline constexpr std::size_t kActivationBlock = 32;
inline constexpr std::size_t kActivationHalf = 16;

// How the codes of a quantised weight type stand in an 8-bit panel:
//   weight = scale * (code - zero) - minimum, scale and minimum per `group` consecutive values of a row.
struct PanelFormat {
  std::uint8_t max_code = 0;  // codes are 0 .. max_code; 0 for types that have no 8-bit panel
  std::uint8_t zero = 0;      // the code of 0.0, for types without minimum
  std::uint8_t group = 0;     // 16 or 32 values share a scale
  bool has_minimum = false;
};

// 16 rows x k columns of weights as codes; k is a multiple of 32.
struct PanelI8 {
  std::uint8_t* codes = nullptr;  // [k / 4][16 rows][4]: four consecutive columns of a row lie side by side
  float* scales = nullptr;        // [k / group][16 rows]
  float* minimums = nullptr;      // [k / group][16 rows]; unused where the format has none
};

// Rows of activations as 8-bit codes: x[i] ~ scale[i / 32] * code[i].
struct ActivationsI8 {
  const std::int8_t* codes = nullptr;  // [rows][stride], codes in -127 .. 127
  const float* scales = nullptr;       // [rows][stride / 32]
  const std::int32_t* sums = nullptr;  // [rows][stride / 16]: sums of 16 codes each
  std::size_t stride = 0;              // values from row to row, a multiple of 32
};

// Pairs: a float as the sum of two bf16, high = bf16(x) and low = bf16(x - high), off by at most 2^-17 of x.
// A panel of pairs holds 32 weight rows; its columns, and those of activations, are filled up with zeros to a multiple
// of 32.
inline constexpr std::size_t kPairRows = 2 * kPanelRows;
inline constexpr std::size_t kPairCols = 32;
struct PanelPairs {
  std::uint16_t* high = nullptr;  // [2][cols / 2][16 rows][2]
  std::uint16_t* low = nullptr;   // the same; null where weights are bf16 themselves
};
// Rows of activations.
struct ActivationPairs {
  const std::uint16_t* high = nullptr;  // [rows][stride]
  const std::uint16_t* low = nullptr;   // [rows][stride]
  std::size_t stride = 0;
};

// Rows of a weight matrix, as they stand in the file: sixteen or fewer, where nothing else is said.
struct WeightRows {
  const std::byte* first = nullptr;  // first byte of the first row
  std::size_t row_bytes = 0;         // from row to row
  std::size_t rows = 0;              // panels of fewer than 16 are filled up with zeros
  const std::byte* later = nullptr;  // what is read some time later, as many bytes: fetched meanwhile. May be anything.
};

// Decodes columns [first_col, first_col + cols) of some rows into panel[col * panel_stride + row], row < 16.
// first_col and cols are multiples of the type's block length.
using UnpackF32 = void (*)(const WeightRows& rows, std::size_t first_col, std::size_t cols, float* panel,
                           std::size_t panel_stride);
// The same into codes, scales and minimums. Rows that are missing get scale 0, minimum 0 and code 0.
using UnpackI8 = void (*)(const WeightRows& rows, std::size_t first_col, std::size_t cols, const PanelI8& panel);

// acc[t][r] += the product of token t with row r, for one or a few tokens and whole rows of `cols` columns, a multiple
// of 16 of them: the same sums, in the same order, as unpacking and a panel product give.
using GemvI8 = void (*)(const WeightRows& rows, std::size_t cols, const ActivationsI8& x, std::size_t tokens,
                        float* acc, std::size_t acc_stride);
// The same for one token and 16 rows.
using GemvF32 = void (*)(const WeightRows& rows, std::size_t cols, const float* x, float* acc);

// Keys, or values, of consecutive positions as they stand in the key/value cache.
struct CacheRows {
  const std::byte* first = nullptr;
  std::size_t row_bytes = 0;  // from row to row
  std::size_t rows = 0;
  const std::byte* next = nullptr;  // what is read next, as many bytes: fetched meanwhile. May point anywhere.
};

// scores[t][k] = sum over c of q[t][c] * keys[k][c], in sixteen lanes (lane c % 16, c ascending, one fused multiply-add
// each) that are folded 8, 4, 2, 1 apart in the end, for t < tokens and k < keys.rows. q: [tokens][q_stride], scores:
// [tokens][score_stride]. cols is a multiple of 16 and of the type's block length.
using DotKeys = void (*)(const CacheRows& keys, std::size_t cols, const float* q, std::size_t q_stride,
                         std::size_t tokens, float* scores, std::size_t score_stride);
// out[t][c] += sum over k of weights[t][k] * values[k][c], k ascending, one fused multiply-add each, for t < tokens and
// c < cols. weights: [tokens][weight_stride], out: [tokens][out_stride]; no overlap. cols as above.
using MixValues = void (*)(const CacheRows& values, std::size_t cols, const float* weights, std::size_t weight_stride,
                           std::size_t tokens, float* out, std::size_t out_stride);

struct KernelTable {
  const char* name = nullptr;  // "reference", "avx2", "avx512_vnni", "avx512_amx"
  std::uint32_t needs = 0;     // bits of CpuFeature

  // Per DType; null where the type has none: then kernels/pack.h decodes by tensor/quantize.h.
  UnpackF32 unpack_f32[kDTypeCount] = {};
  UnpackI8 unpack_i8[kDTypeCount] = {};
  // Per DType; null where there is none: then the weights are unpacked for one token too. gemv_tokens: how many tokens
  // gemv_i8 takes at most; 0 where there is none.
  GemvI8 gemv_i8[kDTypeCount] = {};
  std::uint8_t gemv_tokens[kDTypeCount] = {};
  GemvF32 gemv_f32[kDTypeCount] = {};

  // Per DType that the cache may have: F32, F16, BF16, Q8_0.
  DotKeys dot_keys[kDTypeCount] = {};
  MixValues mix_values[kDTypeCount] = {};

  // acc[t][r] += sum over c of panel[c][r] * x[t][c], c ascending, one fused multiply-add each, for t < tokens and
  // r < 16. panel: [cols][panel_stride], x: [tokens][x_stride], acc: [tokens][acc_stride]. No overlap.
  void (*panel_gemm_f32)(const float* panel, std::size_t panel_stride, std::size_t cols, const float* x,
                         std::size_t x_stride, std::size_t tokens, float* acc, std::size_t acc_stride) = nullptr;

  // acc[t][r] += sum over groups g ascending of
  //     fma(scale[g][r] * xs, float(sum over the group of (code - zero) * x_code), acc), and then, with a minimum,
  //     fma(-minimum[g][r], xs * float(sum over the group of x_code), acc),
  // xs being the activation's scale of the block that the group lies in. The inner sums are exact integers.
  // x: activations from column 0 of the panel on (codes, scales and sums already moved to its first column).
  void (*panel_gemm_i8)(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                        std::size_t tokens, float* acc, std::size_t acc_stride) = nullptr;

  // Quantises n values (a multiple of 32) in blocks of 32: scale = max|x| / 127, code = round-half-even(x *
  // (127 / max|x|)), sums of 16. A block whose max|x| is below 2^-100, as one of zeros, has scale 0 and codes 0.
  // A block with a non-finite x has a non-finite scale and codes 0, which makes every sum over it NaN.
  void (*quantize_i8)(const float* x, std::size_t n, std::int8_t* codes, float* scales, std::int32_t* sums) = nullptr;

  // The next three are null in tables without tiles of bf16. What they give is equal to the bit in any batch and with
  // any number of threads, but the order of their sums is the processor's own.
  //
  // acc[t][r] += sum over c of high_w * high_x + low_w * high_x + high_w * low_x, for t < tokens and r < 32: the
  // product in floats, each term off by about 2^-16 of itself. Products below 2^-126 may count as zero. cols: a
  // multiple of 32.
  void (*panel_gemm_pairs)(const PanelPairs& panel, std::size_t cols, const ActivationPairs& x, std::size_t tokens,
                           float* acc, std::size_t acc_stride) = nullptr;
  // Sixteen rows of panel[col * panel_stride + row] as pairs, [cols / 2][16][2], an odd column out filled up with
  // zeros. low may be null.
  void (*pack_pairs)(const float* panel, std::size_t panel_stride, std::size_t cols, std::uint16_t* high,
                     std::uint16_t* low) = nullptr;
  // n values as pairs.
  void (*split_pairs)(const float* x, std::size_t n, std::uint16_t* high, std::uint16_t* low) = nullptr;

  // out[i] = (x[i] * f) * weight[i], f = float(1 / sqrt(mean(x^2) + eps)); weight null: x[i] * f. out may be x. The
  // mean is summed in eight double lanes (lane i % 8, i ascending), then lanes ((0+4)+(2+6))+((1+5)+(3+7)); f is
  // reckoned in double.
  void (*rms_norm)(const float* x, const float* weight, float eps, std::size_t n, float* out) = nullptr;

  // y[i] += x[i].
  void (*add)(const float* x, std::size_t n, float* y) = nullptr;
  // y[i] *= x[i].
  void (*mul)(const float* x, std::size_t n, float* y) = nullptr;
  // x[i] *= factor.
  void (*scale)(float factor, std::size_t n, float* x) = nullptr;
  // out[i] = min(max(x[i], low), high); NaN stays NaN. out may be x.
  void (*clamp)(float low, float high, const float* x, std::size_t n, float* out) = nullptr;
  // y[i] = fma(factor, x[i], y[i]).
  void (*scale_add)(float factor, const float* x, std::size_t n, float* y) = nullptr;

  // out[i] = gelu(gate[i]) * up[i]; gelu(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), within 4 ulp of
  // max(|result|, 1e-6); -infinity gives NaN, as in the formula. out may be gate or up. Every table uses one and the
  // same polynomial: same bits.
  void (*gelu_mul)(const float* gate, const float* up, std::size_t n, float* out) = nullptr;
  // out[i] = x[i] * sigmoid(gate[i]), sigmoid(g) = 1 / (1 + exp(-g)) within 4 ulp, 0 below -89.
  // With gate = x it is SiLU. out may be gate or x.
  void (*sigmoid_mul)(const float* gate, const float* x, std::size_t n, float* out) = nullptr;
  // x[i] = cap * tanh(x[i] / cap), tanh within 4 ulp. Final logit soft-capping.
  void (*soft_cap)(float cap, std::size_t n, float* x) = nullptr;

  // Rotary embedding of one head, pairs (i, i + half): (a, b) -> (a cos - b sin, b cos + a sin), i < pairs <= half,
  // elements beyond `pairs` of each half stay. cos, sin: [pairs]. The sin products are rounded, the cos products fused:
  // fma(a, cos, -(b * sin)), fma(b, cos, a * sin).
  void (*rope)(const float* cos, const float* sin, std::size_t pairs, std::size_t half, float* x) = nullptr;

  // max(x[0..n)); -infinity for n = 0. NaNs are passed over, and a maximum of -0 comes out as +0.
  float (*max)(const float* x, std::size_t n) = nullptr;
  // x[i] = exp(x[i] - shift); returns their sum in sixteen lanes (lane i % 16), then lanes folded 8, 4, 2, 1 apart.
  // exp within 2 ulp; what is smaller than 2^-100, as for -infinity, is exactly 0.
  float (*exp_shifted)(float shift, std::size_t n, float* x) = nullptr;

  // Conversions of rows for the KV cache, rounding to nearest even.
  void (*to_f16)(const float* x, std::size_t n, std::uint16_t* out) = nullptr;
  void (*to_bf16)(const float* x, std::size_t n, std::uint16_t* out) = nullptr;
};

// The 8-bit panel of a type; max_code 0 where there is none.
const PanelFormat& panel_format(DType dtype);

}  // namespace carat
