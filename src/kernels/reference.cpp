// The reference table: every primitive as a plain loop in exactly the stated order. It runs anywhere and is the oracle
// that the other tables must equal bit by bit.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/float16.h"
#include "kernels/coefficients.h"
#include "kernels/kernel_table.h"
#include "kernels/reference_blocks.h"
#include "kernels/tables.h"
#include "tensor/dtype.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

using reference::DecodedBlock;

const std::uint8_t* block_at(const WeightRows& rows, std::size_t row, std::size_t byte) {
  return reinterpret_cast<const std::uint8_t*>(rows.first) + row * rows.row_bytes + byte;
}

template <typename Value>
void unpack_plain(const WeightRows& rows, std::size_t first_col, std::size_t cols, float* panel,
                  std::size_t panel_stride) {
  for (std::size_t col = 0; col < cols; ++col) {
    for (std::size_t row = 0; row < kPanelRows; ++row) {
      float value = 0;
      if (row < rows.rows) {
        Value stored;
        std::memcpy(&stored, block_at(rows, row, (first_col + col) * sizeof(Value)), sizeof(Value));
        if constexpr (std::is_same_v<Value, float>) {
          value = stored;
        } else {
          value = to_float(stored);
        }
      }
      panel[col * panel_stride + row] = value;
    }
  }
}

template <DType kDType>
void unpack_f32(const WeightRows& rows, std::size_t first_col, std::size_t cols, float* panel,
                std::size_t panel_stride) {
  const DTypeInfo& info = dtype_info(kDType);
  const PanelFormat& format = panel_format(kDType);
  for (std::size_t col = 0; col < cols; col += info.block_values) {
    for (std::size_t row = 0; row < kPanelRows; ++row) {
      DecodedBlock block{};
      if (row < rows.rows) {
        reference::decode<kDType>(block_at(rows, row, (first_col + col) / info.block_values * info.block_bytes), block);
      }
      for (std::size_t i = 0; i < info.block_values; ++i) {
        float value = 0;
        if (row < rows.rows) {
          value = block.scales[i / format.group] * static_cast<float>(block.codes[i] - format.zero);
          if (format.has_minimum) value -= block.minimums[i / format.group];
        }
        panel[(col + i) * panel_stride + row] = value;
      }
    }
  }
}

template <DType kDType>
void unpack_i8(const WeightRows& rows, std::size_t first_col, std::size_t cols, const PanelI8& panel) {
  const DTypeInfo& info = dtype_info(kDType);
  const PanelFormat& format = panel_format(kDType);
  for (std::size_t col = 0; col < cols; col += info.block_values) {
    for (std::size_t row = 0; row < kPanelRows; ++row) {
      DecodedBlock block{};
      if (row < rows.rows) {
        reference::decode<kDType>(block_at(rows, row, (first_col + col) / info.block_values * info.block_bytes), block);
      }
      for (std::size_t i = 0; i < info.block_values; ++i) {
        const std::size_t c = col + i;
        panel.codes[c / 4 * (kPanelRows * 4) + row * 4 + c % 4] = block.codes[i];
      }
      for (std::size_t i = 0; i < info.block_values / format.group; ++i) {
        const std::size_t group = col / format.group + i;
        panel.scales[group * kPanelRows + row] = block.scales[i];
        if (format.has_minimum) panel.minimums[group * kPanelRows + row] = block.minimums[i];
      }
    }
  }
}

void panel_gemm_f32(const float* panel, std::size_t panel_stride, std::size_t cols, const float* x,
                    std::size_t x_stride, std::size_t tokens, float* acc, std::size_t acc_stride) {
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t r = 0; r < kPanelRows; ++r) {
      float sum = acc[t * acc_stride + r];
      for (std::size_t c = 0; c < cols; ++c) sum = std::fma(panel[c * panel_stride + r], x[t * x_stride + c], sum);
      acc[t * acc_stride + r] = sum;
    }
  }
}

void panel_gemm_i8(const PanelFormat& format, const PanelI8& panel, std::size_t cols, const ActivationsI8& x,
                   std::size_t tokens, float* acc, std::size_t acc_stride) {
  const std::size_t group = format.group;
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::int8_t* codes = x.codes + t * x.stride;
    const float* x_scales = x.scales + t * (x.stride / kActivationBlock);
    const std::int32_t* x_sums = x.sums + t * (x.stride / kActivationHalf);
    for (std::size_t r = 0; r < kPanelRows; ++r) {
      float sum = acc[t * acc_stride + r];
      for (std::size_t g = 0; g < cols / group; ++g) {
        std::int32_t dot = 0;
        for (std::size_t c = g * group; c < (g + 1) * group; ++c) {
          dot += (panel.codes[c / 4 * (kPanelRows * 4) + r * 4 + c % 4] - format.zero) * codes[c];
        }
        const float x_scale = x_scales[g * group / kActivationBlock];
        sum = std::fma(panel.scales[g * kPanelRows + r] * x_scale, static_cast<float>(dot), sum);
        if (format.has_minimum) {
          std::int32_t x_sum = 0;
          for (std::size_t h = g * group; h < (g + 1) * group; h += kActivationHalf)
            x_sum += x_sums[h / kActivationHalf];
          sum = std::fma(-panel.minimums[g * kPanelRows + r], x_scale * static_cast<float>(x_sum), sum);
        }
      }
      acc[t * acc_stride + r] = sum;
    }
  }
}

void quantize_i8(const float* x, std::size_t n, std::int8_t* codes, float* scales, std::int32_t* sums) {
  for (std::size_t block = 0; block < n / kActivationBlock; ++block) {
    const float* values = x + block * kActivationBlock;
    std::uint32_t largest_bits = 0;  // magnitudes compare as integers, NaN above infinity
    for (std::size_t i = 0; i < kActivationBlock; ++i) {
      largest_bits = std::max(largest_bits, std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffU);
    }
    const auto largest = std::bit_cast<float>(largest_bits);
    const bool is_zero = largest < kQuantizeSmallest;
    const bool has_codes = !is_zero && std::isfinite(largest);
    const float inverse = 127.0F / largest;
    scales[block] = is_zero ? 0.0F : largest / 127.0F;
    for (std::size_t half = 0; half < 2; ++half) {
      std::int32_t sum = 0;
      for (std::size_t i = half * kActivationHalf; i < (half + 1) * kActivationHalf; ++i) {
        const float code = has_codes ? std::nearbyint(values[i] * inverse) : 0.0F;
        codes[block * kActivationBlock + i] = static_cast<std::int8_t>(code);
        sum += static_cast<std::int32_t>(code);
      }
      sums[block * 2 + half] = sum;
    }
  }
}

void rms_norm(const float* x, const float* weight, float eps, std::size_t n, float* out) {
  double lanes[8] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i % 8] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const double sum = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
  const double mean = sum / static_cast<double>(n);
  const auto factor = static_cast<float>(1.0 / std::sqrt(mean + static_cast<double>(eps)));
  for (std::size_t i = 0; i < n; ++i) out[i] = weight == nullptr ? x[i] * factor : (x[i] * factor) * weight[i];
}

void add(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] += x[i];
}

void mul(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] *= x[i];
}

void scale(float factor, std::size_t n, float* x) {
  for (std::size_t i = 0; i < n; ++i) x[i] *= factor;
}

// NaN stays NaN.
float clamp(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

void clamp(float low, float high, const float* x, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = clamp(x[i], low, high);
}

void scale_add(float factor, const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = std::fma(factor, x[i], y[i]);
}

// 2^n for -127 < n < 128.
float power_of_two(std::uint32_t n) {
  return std::bit_cast<float>((n + 127U) << 23);
}

// Rounds to an integer by kRoundMagic: the integer as a float and, of n + kRoundMagic, the bits.
struct Rounded {
  float value;
  std::uint32_t bits;
};

Rounded rounded(float with_magic) {
  return {with_magic - kRoundMagic,
          std::bit_cast<std::uint32_t>(with_magic) - std::bit_cast<std::uint32_t>(kRoundMagic)};
}

// exp(r) - 1 for |r| <= ln 2 / 2.
float exp_minus_1_reduced(float r) {
  float p = kExpP4;
  p = std::fma(p, r, kExpP3);
  p = std::fma(p, r, kExpP2);
  p = std::fma(p, r, kExpP1);
  p = std::fma(p, r, kExpP0);
  return std::fma(r * r, p, r);
}

// x * 2^n in two halves, as 2^n itself may be too large or too small for a float.
float times_power_of_two(float x, std::uint32_t n) {
  const auto half = static_cast<std::uint32_t>(static_cast<std::int32_t>(n) >> 1);
  return x * power_of_two(half) * power_of_two(n - half);
}

float exp(float x) {
  x = clamp(x, kExpLowest, kExpHighest);
  const Rounded n = rounded(std::fma(x, kLog2E, kRoundMagic));
  const float r = std::fma(-n.value, kLn2Low, std::fma(-n.value, kLn2High, x));
  // 2^n as 2^(n - 1) * 2, since n = 128 comes up.
  const float value = (1.0F + exp_minus_1_reduced(r)) * power_of_two(n.bits - 1) * 2.0F;
  return value < kExpSmallest ? 0.0F : value;
}

float tanh(float y) {
  const float v = clamp(-2.0F * std::fabs(y), kTanhLowest, 0.0F);
  const Rounded n = rounded(std::fma(v, kLog2E, kRoundMagic));
  const float r = std::fma(-n.value, kLn2Low, std::fma(-n.value, kLn2High, v));
  const float power = power_of_two(n.bits);
  const float m = std::fabs(std::fma(power, exp_minus_1_reduced(r), power - 1.0F));  // 1 - exp(-2|y|)
  return std::copysign(m / (2.0F - m), y);
}

float gelu(float x) {
  const float u = clamp(-x, -kGeluBound, kGeluBound);
  // p + p_low = a + b u^2 and w + w_low = u (a + b u^2), to some 40 bits.
  const float square = u * u;
  const float square_low = std::fma(u, u, -square);
  const float p = std::fma(square, kGeluB, kGeluA);
  const float p_low =
      std::fma(square_low, kGeluB, std::fma(square, kGeluBLow, std::fma(square, kGeluB, kGeluA - p) + kGeluALow));
  const float w = u * p;
  const float w_low = std::fma(u, p_low, std::fma(u, p, -w));
  const Rounded n = rounded(w + kRoundMagic);
  const float r = ((w - n.value) + w_low) * kLn2High;
  return x / (1.0F + times_power_of_two(1.0F + exp_minus_1_reduced(r), n.bits));
}

void gelu_mul(const float* gate, const float* up, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = gelu(gate[i]) * up[i];
}

void sigmoid_mul(const float* gate, const float* x, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = x[i] / (1.0F + exp(-gate[i]));
}

void soft_cap(float cap, std::size_t n, float* x) {
  for (std::size_t i = 0; i < n; ++i) x[i] = cap * tanh(x[i] / cap);
}

void rope(const float* cos, const float* sin, std::size_t pairs, std::size_t half, float* x) {
  for (std::size_t i = 0; i < pairs; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    x[i] = std::fma(a, cos[i], -(b * sin[i]));
    x[i + half] = std::fma(b, cos[i], a * sin[i]);
  }
}

float max(const float* x, std::size_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest + 0.0F;
}

// Lanes 8, 4, 2, 1 apart in turn.
float folded(float (&lanes)[16]) {
  for (std::size_t apart = 8; apart > 0; apart /= 2) {
    for (std::size_t i = 0; i < apart; ++i) lanes[i] += lanes[i + apart];
  }
  return lanes[0];
}

float exp_shifted(float shift, std::size_t n, float* x) {
  float lanes[16] = {};
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = exp(x[i] - shift);
    lanes[i % 16] += x[i];
  }
  return folded(lanes);
}

void to_f16(const float* x, std::size_t n, std::uint16_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = carat::to_f16(x[i]).bits;
}

void to_bf16(const float* x, std::size_t n, std::uint16_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = carat::to_bf16(x[i]).bits;
}

std::vector<float> decoded(DType dtype, const CacheRows& rows, std::size_t row, std::size_t cols) {
  std::vector<float> values(cols);
  dequantize_row(dtype, {rows.first + row * rows.row_bytes, *row_bytes(dtype, cols)}, values);
  return values;
}

template <DType kDType>
void dot_keys(const CacheRows& keys, std::size_t cols, const float* q, std::size_t q_stride, std::size_t tokens,
              float* scores, std::size_t score_stride) {
  for (std::size_t k = 0; k < keys.rows; ++k) {
    const std::vector<float> key = decoded(kDType, keys, k, cols);
    for (std::size_t t = 0; t < tokens; ++t) {
      float lanes[16] = {};
      for (std::size_t c = 0; c < cols; ++c) lanes[c % 16] = std::fma(q[t * q_stride + c], key[c], lanes[c % 16]);
      scores[t * score_stride + k] = folded(lanes);
    }
  }
}

template <DType kDType>
void mix_values(const CacheRows& values, std::size_t cols, const float* weights, std::size_t weight_stride,
                std::size_t tokens, float* out, std::size_t out_stride) {
  for (std::size_t k = 0; k < values.rows; ++k) {
    const std::vector<float> value = decoded(kDType, values, k, cols);
    for (std::size_t t = 0; t < tokens; ++t) {
      for (std::size_t c = 0; c < cols; ++c) {
        float& sum = out[t * out_stride + c];
        sum = std::fma(weights[t * weight_stride + k], value[c], sum);
      }
    }
  }
}

float from_bits(std::uint16_t bits) {
  return to_float(BF16{bits});
}

void split_pairs(const float* x, std::size_t n, std::uint16_t* high, std::uint16_t* low) {
  for (std::size_t i = 0; i < n; ++i) {
    const float value = x[i];
    high[i] = carat::to_bf16(value).bits;
    low[i] = carat::to_bf16(value - from_bits(high[i])).bits;
  }
}

void pack_pairs(const float* panel, std::size_t panel_stride, std::size_t cols, std::uint16_t* high,
                std::uint16_t* low) {
  for (std::size_t col = 0; col < (cols + 1) / 2 * 2; ++col) {
    for (std::size_t row = 0; row < kPanelRows; ++row) {
      const float value = col < cols ? panel[col * panel_stride + row] : 0.0F;
      const std::size_t at = (col / 2 * kPanelRows + row) * 2 + col % 2;
      std::uint16_t unused = 0;
      split_pairs(&value, 1, high + at, low == nullptr ? &unused : low + at);
    }
  }
}

void panel_gemm_pairs(const PanelPairs& panel, std::size_t cols, const ActivationPairs& x, std::size_t tokens,
                      float* acc, std::size_t acc_stride) {
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t r = 0; r < kPairRows; ++r) {
      double sum = double{acc[t * acc_stride + r]};
      for (std::size_t c = 0; c < cols; ++c) {
        const std::size_t at = ((r / kPanelRows * cols + c) / 2 * kPanelRows + r % kPanelRows) * 2 + c % 2;
        const double high_w = double{from_bits(panel.high[at])};
        const double low_w = panel.low == nullptr ? 0.0 : double{from_bits(panel.low[at])};
        const double high_x = double{from_bits(x.high[t * x.stride + c])};
        const double low_x = double{from_bits(x.low[t * x.stride + c])};
        sum += high_w * high_x + low_w * high_x + high_w * low_x;
      }
      acc[t * acc_stride + r] = static_cast<float>(sum);
    }
  }
}

template <DType... kDTypes>
constexpr void set_unpackers(KernelTable& table) {
  ((table.unpack_f32[static_cast<std::size_t>(kDTypes)] = unpack_f32<kDTypes>), ...);
  ((table.unpack_i8[static_cast<std::size_t>(kDTypes)] = unpack_i8<kDTypes>), ...);
}

template <DType... kDTypes>
constexpr void set_cache_kernels(KernelTable& table) {
  ((table.dot_keys[static_cast<std::size_t>(kDTypes)] = dot_keys<kDTypes>), ...);
  ((table.mix_values[static_cast<std::size_t>(kDTypes)] = mix_values<kDTypes>), ...);
}

constexpr KernelTable make_table() {
  KernelTable table{.name = "reference",
                    .panel_gemm_f32 = panel_gemm_f32,
                    .panel_gemm_i8 = panel_gemm_i8,
                    .quantize_i8 = quantize_i8,
                    .panel_gemm_pairs = panel_gemm_pairs,
                    .pack_pairs = pack_pairs,
                    .split_pairs = split_pairs,
                    .rms_norm = rms_norm,
                    .add = add,
                    .mul = mul,
                    .scale = scale,
                    .clamp = clamp,
                    .scale_add = scale_add,
                    .gelu_mul = gelu_mul,
                    .sigmoid_mul = sigmoid_mul,
                    .soft_cap = soft_cap,
                    .rope = rope,
                    .max = max,
                    .exp_shifted = exp_shifted,
                    .to_f16 = to_f16,
                    .to_bf16 = to_bf16};
  table.unpack_f32[static_cast<std::size_t>(DType::kF32)] = unpack_plain<float>;
  table.unpack_f32[static_cast<std::size_t>(DType::kF16)] = unpack_plain<F16>;
  table.unpack_f32[static_cast<std::size_t>(DType::kBF16)] = unpack_plain<BF16>;
  set_cache_kernels<DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0>(table);
  set_unpackers<DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS, DType::kMXFP4>(table);
  return table;
}

}  // namespace

constinit const KernelTable reference_kernels = make_table();

}  // namespace carat
