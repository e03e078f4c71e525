#include "quantize/encode_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tensor/quantize.h"

namespace carat {
namespace {

constexpr std::size_t kCols = 512;

// Weights as models have them: normal, columns of different size, now and then a large one.
std::vector<float> sample(std::size_t rows) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, 0.03F);
  std::vector<float> values(rows * kCols);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = normal(random) * (1 + 0.5F * std::sin(static_cast<float>(i % kCols)));
    if (random() % 300 == 0) values[i] *= 6;
  }
  return values;
}

std::vector<float> decoded(DType dtype, std::span<const float> values, std::span<const float> importance = {}) {
  RowEncoder encoder;
  std::vector<std::byte> blocks(*row_bytes(dtype, values.size()));
  encoder.encode(dtype, values, kCols, importance, blocks);
  std::vector<float> result(values.size());
  dequantize_row(dtype, blocks, result);
  return result;
}

double mean_square_error(std::span<const float> a, std::span<const float> b, std::size_t first_col = 0,
                         std::size_t last_col = kCols) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (i % kCols < first_col || i % kCols >= last_col) continue;
    sum += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
    ++count;
  }
  return sum / static_cast<double>(count);
}

constexpr DType kTypes[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,   DType::kQ2_K,
                            DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kMXFP4};

// Relative root-mean-square errors on these values: a bug in packing or searching shows as a much larger one. Measured
// values times 1.03.
TEST(EncodeRows, ErrorsAreThoseOfTheFormats) {
  const std::vector<float> values = sample(16);
  double power = 0;
  for (const float x : values) power += double{x} * double{x};
  power /= static_cast<double>(values.size());
  const double kLargest[] = {0.110,  0.0822, 0.0566, 0.0400,  0.00696, 0.298,
                             0.1725, 0.0849, 0.0421, 0.02256, 0.0908,  0.1317};
  for (std::size_t i = 0; i < std::size(kTypes); ++i) {
    const double error = std::sqrt(mean_square_error(decoded(kTypes[i], values), values) / power);
    EXPECT_LT(error, kLargest[i]) << dtype_info(kTypes[i]).name;
    EXPECT_GT(error, 0.8 * kLargest[i]) << dtype_info(kTypes[i]).name << ": too good to be true";
  }
}

TEST(EncodeRows, NeverWorseThanThePlainEncoder) {
  const std::vector<float> values = sample(16);
  for (const DType dtype : kTypes) {
    if (!can_quantize(dtype)) continue;
    std::vector<std::byte> blocks(*row_bytes(dtype, values.size()));
    quantize_row(dtype, values, blocks);
    std::vector<float> plain(values.size());
    dequantize_row(dtype, blocks, plain);
    EXPECT_LT(mean_square_error(decoded(dtype, values), values), mean_square_error(plain, values))
        << dtype_info(dtype).name;
  }
}

TEST(EncodeRows, ImportantColumnsAreNearer) {
  const std::vector<float> values = sample(16);
  std::vector<float> importance(kCols, 0.01F);
  for (std::size_t i = 0; i < kCols; i += 4) importance[i] = 10;
  for (const DType dtype : kTypes) {
    if (dtype == DType::kMXFP4) continue;  // its scales are too coarse for a choice
    const std::vector<float> plain = decoded(dtype, values);
    const std::vector<float> weighted = decoded(dtype, values, importance);
    double plain_error = 0;
    double weighted_error = 0;
    for (std::size_t i = 0; i < values.size(); i += 4) {
      plain_error += std::pow(double{plain[i]} - double{values[i]}, 2);
      weighted_error += std::pow(double{weighted[i]} - double{values[i]}, 2);
    }
    EXPECT_LT(weighted_error, 0.9 * plain_error) << dtype_info(dtype).name;
  }
}

// What a type can represent it represents: encoding what was decoded changes next to nothing.
TEST(EncodeRows, DecodedValuesStay) {
  const std::vector<float> values = sample(4);
  for (const DType dtype : kTypes) {
    const std::vector<float> once = decoded(dtype, values);
    const std::vector<float> twice = decoded(dtype, once);
    EXPECT_LT(mean_square_error(once, twice), 0.05 * mean_square_error(values, once)) << dtype_info(dtype).name;
  }
}

// A large value that is cut off at 12 costs 3.2^2; with steps twice as wide it costs 0.8^2, and each 1 beside it
// costs 1.
TEST(EncodeRows, Mxfp4TakesWiderStepsOnlyIfTheyAreClearlyBetter) {
  const auto decoded_peak = [](std::size_t ones) {
    std::vector<float> values(kCols, 0.0F);
    values[0] = 15.2F;
    for (std::size_t i = 1; i <= ones; ++i) values[i] = 1.0F;
    return decoded(DType::kMXFP4, values)[0];
  };
  EXPECT_EQ(decoded_peak(7), 16.0F);
  EXPECT_EQ(decoded_peak(9), 12.0F);
}

TEST(EncodeRows, ExtremeValuesDoNoHarm) {
  for (const float bad : {0.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min(), 65504.0F}) {
    for (const DType dtype : kTypes) decoded(dtype, std::vector<float>(kCols, bad));
    std::vector<float> one(kCols, 0.01F);
    one[300] = bad;
    for (const DType dtype : kTypes) {
      const std::vector<float> result = decoded(dtype, one);
      for (std::size_t i = 0; i < 256; ++i) EXPECT_NEAR(result[i], 0.01F, 0.004F) << dtype_info(dtype).name;
    }
  }
}

}  // namespace
}  // namespace carat
