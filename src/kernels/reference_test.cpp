// The reference table against mathematics in double precision and against hand-made blocks.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/tables.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// |actual - expected| in units of the last place of max(|expected|, smallest) as a float.
double ulps(float actual, double expected, double smallest) {
  const double magnitude = std::max(std::fabs(expected), smallest);
  const double ulp = std::ldexp(1.0, std::max(std::ilogb(magnitude), -126) - 23);
  return std::fabs(static_cast<double>(actual) - expected) / ulp;
}

// The worst error over every `step`-th float between the bit patterns of low and high (of one sign).
template <typename Function, typename Exact>
double worst_ulps(float low, float high, std::uint32_t step, double smallest, const Function& function,
                  const Exact& exact) {
  double worst = 0;
  for (std::uint32_t bits = std::bit_cast<std::uint32_t>(low); bits <= std::bit_cast<std::uint32_t>(high);
       bits += step) {
    const auto x = std::bit_cast<float>(bits);
    worst = std::max(worst, ulps(function(x), exact(static_cast<double>(x)), smallest));
  }
  return worst;
}

constexpr std::uint32_t kStep = 4999;  // a prime: some 200,000 floats of either sign

float exp_of(float x) {
  reference_kernels.exp_shifted(0.0F, 1, &x);
  return x;
}

TEST(Reference, ExpIsWithinTwoUlp) {
  const auto exact = [](double x) { return std::exp(x); };
  EXPECT_LE(worst_ulps(-0.0F, -69.3F, kStep, 0.0, exp_of, exact), 2.0);
  EXPECT_LE(worst_ulps(0.0F, 88.7F, kStep, 0.0, exp_of, exact), 2.0);
  EXPECT_EQ(exp_of(0.0F), 1.0F);
  EXPECT_EQ(exp_of(-69.4F), 0.0F);
  EXPECT_EQ(exp_of(-1e30F), 0.0F);
  EXPECT_EQ(exp_of(-kInfinity), 0.0F);
  EXPECT_EQ(exp_of(89.0F), kInfinity);
  EXPECT_EQ(exp_of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(exp_of(kNan)));
}

// Attention was up to eleven times as slow where scores lay so far apart that some shares became subnormal.
TEST(Reference, ExpHasNoSubnormalResults) {
  for (float x = -110.0F; x < -60.0F; x += 0.01F) {
    const float value = exp_of(x);
    EXPECT_TRUE(value == 0.0F || value >= 0x1p-100F) << x;
  }
}

float gelu_of(float x) {
  const float one = 1.0F;
  float out = 0;
  reference_kernels.gelu_mul(&x, &one, 1, &out);
  return out;
}

TEST(Reference, GeluIsWithinFourUlpOfAMillionth) {
  // x/2 (1 + tanh u) = x / (1 + exp(-2u)), which does not cancel in double precision.
  const auto exact = [](double x) {
    return x / (1.0 + std::exp(-2.0 * std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
  };
  EXPECT_LE(worst_ulps(0.0F, 3e38F, kStep, 1e-6, gelu_of, exact), 4.0);
  EXPECT_LE(worst_ulps(-0.0F, -3e38F, kStep, 1e-6, gelu_of, exact), 4.0);
  EXPECT_EQ(gelu_of(0.0F), 0.0F);
  EXPECT_EQ(gelu_of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(gelu_of(-kInfinity)));
  EXPECT_TRUE(std::isnan(gelu_of(kNan)));
}

float sigmoid_of(float x) {
  const float one = 1.0F;
  float out = 0;
  reference_kernels.sigmoid_mul(&x, &one, 1, &out);
  return out;
}

TEST(Reference, SigmoidIsWithinFourUlp) {
  const auto exact = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  EXPECT_LE(worst_ulps(0.0F, 3e38F, kStep, 0.0, sigmoid_of, exact), 4.0);
  EXPECT_LE(worst_ulps(-0.0F, -87.0F, kStep, 0.0, sigmoid_of, exact), 4.0);
  EXPECT_EQ(sigmoid_of(-kInfinity), 0.0F);
  EXPECT_EQ(sigmoid_of(kInfinity), 1.0F);
  EXPECT_TRUE(std::isnan(sigmoid_of(kNan)));
}

float tanh_of(float x) {
  reference_kernels.soft_cap(1.0F, 1, &x);
  return x;
}

TEST(Reference, TanhIsWithinFourUlp) {
  const auto exact = [](double x) { return std::tanh(x); };
  EXPECT_LE(worst_ulps(0.0F, 3e38F, kStep, 0.0, tanh_of, exact), 4.0);
  EXPECT_LE(worst_ulps(-0.0F, -3e38F, kStep, 0.0, tanh_of, exact), 4.0);
  EXPECT_EQ(tanh_of(kInfinity), 1.0F);
  EXPECT_EQ(tanh_of(-kInfinity), -1.0F);
  EXPECT_TRUE(std::signbit(tanh_of(-0.0F)));
  EXPECT_TRUE(std::isnan(tanh_of(kNan)));
}

TEST(Reference, SoftCapScalesBothSides) {
  std::array<float, 3> x{-1e6F, 3.0F, 1e6F};
  reference_kernels.soft_cap(30.0F, x.size(), x.data());
  EXPECT_EQ(x[0], -30.0F);
  EXPECT_NEAR(x[1], 30.0 * std::tanh(0.1), 2e-6);
  EXPECT_EQ(x[2], 30.0F);
}

TEST(Reference, QuantizeRoundsWithinHalfAStep) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::array<float, 64> x{};
  for (float& value : x) value = normal(random);
  std::array<std::int8_t, 64> codes{};
  std::array<float, 2> scales{};
  std::array<std::int32_t, 4> sums{};
  reference_kernels.quantize_i8(x.data(), x.size(), codes.data(), scales.data(), sums.data());
  std::array<std::int32_t, 4> expected_sums{};
  for (std::size_t i = 0; i < x.size(); ++i) {
    // Half a step, and three roundings of numbers up to 127 steps.
    EXPECT_NEAR(codes[i] * scales[i / 32], x[i], scales[i / 32] * (0.5F + 127 * 3 * 0x1p-24F));
    expected_sums[i / 16] += codes[i];
  }
  EXPECT_EQ(sums, expected_sums);
}

TEST(Reference, QuantizeOfZerosAndOfNonFiniteValues) {
  std::array<float, 128> x{};
  x[3] = 1e-31F;  // too small a block to have an inverse scale
  x[32] = 1.0F;
  x[40] = kNan;
  x[64] = -kInfinity;
  x[96] = -3e38F;
  std::array<std::int8_t, 128> codes{};
  codes.fill(99);
  std::array<float, 4> scales{};
  std::array<std::int32_t, 8> sums{};
  reference_kernels.quantize_i8(x.data(), x.size(), codes.data(), scales.data(), sums.data());
  EXPECT_EQ(scales[0], 0.0F);
  EXPECT_TRUE(std::isnan(scales[1]));
  EXPECT_EQ(scales[2], kInfinity);
  EXPECT_EQ(codes[96], -127);
  for (std::size_t i = 0; i < 96; ++i) EXPECT_EQ(codes[i], 0) << i;
  EXPECT_EQ(sums, (std::array<std::int32_t, 8>{0, 0, 0, 0, 0, 0, -127, 0}));
}

TEST(Reference, RmsNorm) {
  const std::array<float, 3> x{3.0F, -4.0F, 12.0F};
  const std::array<float, 3> weight{1.0F, 2.0F, 0.5F};
  std::array<float, 3> out{};
  reference_kernels.rms_norm(x.data(), weight.data(), 0.0F, 3, out.data());
  const double rms = std::sqrt(169.0 / 3.0);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_LE(ulps(out[i], x[i] / rms * weight[i], 0.0), 2.0);  // three roundings of half an ulp to one
  }
  reference_kernels.rms_norm(x.data(), nullptr, 0.0F, 3, out.data());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LE(ulps(out[i], x[i] / rms, 0.0), 1.5);
}

TEST(Reference, RopeTurnsPairsAndLeavesTheRest) {
  std::array<float, 6> x{1.0F, 0.0F, 5.0F, 0.0F, 1.0F, 6.0F};
  const std::array<float, 2> cos{0.0F, 0.6F};
  const std::array<float, 2> sin{1.0F, 0.8F};
  reference_kernels.rope(cos.data(), sin.data(), 2, 3, x.data());
  EXPECT_EQ(x, (std::array<float, 6>{0.0F, -0.8F, 5.0F, 1.0F, 0.6F, 6.0F}));
}

TEST(Reference, MaxPassesOverNan) {
  const std::array<float, 4> x{-2.0F, kNan, -0.0F, -1.0F};
  EXPECT_FALSE(std::signbit(reference_kernels.max(x.data(), x.size())));
  EXPECT_EQ(reference_kernels.max(x.data(), x.size()), 0.0F);
  EXPECT_EQ(reference_kernels.max(x.data(), 0), -kInfinity);
}

// Both definitions of each format agree on random bytes, bit by bit but for NaN.
TEST(Reference, UnpackF32IsDequantizeRow) {
  std::mt19937 random(3);
  for (std::size_t type = 0; type < kDTypeCount; ++type) {
    if (reference_kernels.unpack_f32[type] == nullptr) continue;
    const auto dtype = static_cast<DType>(type);
    SCOPED_TRACE(dtype_info(dtype).name);
    constexpr std::size_t kCols = 8192;
    std::vector<std::byte> bytes(*row_bytes(dtype, kCols));
    for (std::byte& b : bytes) b = static_cast<std::byte>(random());
    std::vector<float> expected(kCols);
    dequantize_row(dtype, bytes, expected);
    std::vector<float> panel(kCols * kPanelRows, 1.0F);
    reference_kernels.unpack_f32[type]({bytes.data(), bytes.size(), 1}, 0, kCols, panel.data(), kPanelRows);
    std::size_t wrong = 0;
    for (std::size_t c = 0; c < kCols; ++c) {
      const float actual = panel[c * kPanelRows];
      if (std::isnan(actual) && std::isnan(expected[c])) continue;
      if (std::bit_cast<std::uint32_t>(actual) != std::bit_cast<std::uint32_t>(expected[c])) ++wrong;
      EXPECT_EQ(panel[c * kPanelRows + 1], 0.0F);  // a missing row
    }
    EXPECT_EQ(wrong, 0U);
  }
}

// Codes, scales and minimums, multiplied out, are what unpack_f32 gives; and panel_gemm_i8 is their product with the
// dequantised activations.
TEST(Reference, PanelGemmIsTheProductOfDequantisedValues) {
  constexpr std::size_t kCols = 512;
  constexpr std::size_t kTokens = 3;
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(kTokens * kCols);
  for (float& value : x) value = normal(random);
  std::vector<std::int8_t> x_codes(x.size());
  std::vector<float> x_scales(x.size() / kActivationBlock);
  std::vector<std::int32_t> x_sums(x.size() / kActivationHalf);
  reference_kernels.quantize_i8(x.data(), x.size(), x_codes.data(), x_scales.data(), x_sums.data());

  for (std::size_t type = 0; type < kDTypeCount; ++type) {
    const auto dtype = static_cast<DType>(type);
    const PanelFormat& format = panel_format(dtype);
    ASSERT_EQ(format.max_code != 0, reference_kernels.unpack_i8[type] != nullptr);
    if (format.max_code == 0) continue;
    SCOPED_TRACE(type);

    constexpr std::size_t kRowBytes = 700;  // enough for 512 values of any type
    std::vector<std::byte> bytes(kPanelRows * kRowBytes);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random() & 0x3bU);  // no NaN or infinity as f16
    const WeightRows rows{bytes.data(), kRowBytes, 15};

    std::vector<std::uint8_t> codes(kPanelRows * kCols);
    std::vector<float> scales(kPanelRows * kCols / format.group);
    std::vector<float> minimums(scales.size());
    const PanelI8 panel{codes.data(), scales.data(), minimums.data()};
    reference_kernels.unpack_i8[type](rows, 0, kCols, panel);
    std::vector<float> weights(kPanelRows * kCols);
    reference_kernels.unpack_f32[type](rows, 0, kCols, weights.data(), kPanelRows);

    std::vector<float> acc(kTokens * kPanelRows, 0.5F);
    reference_kernels.panel_gemm_i8(format, panel, kCols, {x_codes.data(), x_scales.data(), x_sums.data(), kCols},
                                    kTokens, acc.data(), kPanelRows);
    for (std::size_t t = 0; t < kTokens; ++t) {
      for (std::size_t r = 0; r < kPanelRows; ++r) {
        double expected = 0.5;
        double magnitude = 0.5;
        for (std::size_t c = 0; c < kCols; ++c) {
          const float weight = weights[c * kPanelRows + r];
          const std::size_t i = t * kCols + c;
          const double value = static_cast<double>(x_scales[i / kActivationBlock]) * x_codes[i];
          const std::size_t group = c / format.group * kPanelRows + r;
          expected += weight * value;
          magnitude += (std::fabs(scales[group]) * format.max_code + std::fabs(minimums[group])) * std::fabs(value);
        }
        if (r == 15) {
          EXPECT_EQ(acc[t * kPanelRows + r], 0.5F);
        }
        // Two fused sums and two products per group, each off by 2^-24 of numbers up to the sum of magnitudes.
        const std::size_t groups = kCols / format.group;
        const double bound = magnitude * 0x1p-24 * 4 * static_cast<double>(groups);
        EXPECT_NEAR(acc[t * kPanelRows + r], expected, bound);
      }
    }
  }
}

}  // namespace
}  // namespace carat
