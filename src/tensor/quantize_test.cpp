#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/file.h"
#include "base/golden.h"

namespace carat {
namespace {

constexpr std::size_t kGoldenRows = 3;
constexpr std::size_t kGoldenCols = 512;

std::vector<DType> decodable_dtypes() {
  std::vector<DType> dtypes;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    if (can_dequantize(static_cast<DType>(i))) dtypes.push_back(static_cast<DType>(i));
  }
  return dtypes;
}

std::filesystem::path golden_path(const std::string& file) {
  return std::filesystem::path(CARAT_TEST_DATA) / "golden" / "quants" / file;
}

std::string upper_name(DType dtype) {
  std::string name(dtype_info(dtype).name);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

// The bytes of the one tensor in a golden GGUF file. The data, padded to 32 bytes, ends the file, and since all the
// files have the same header but for the type's number, it begins at byte 128 of each.
std::vector<std::byte> golden_bytes(DType dtype) {
  const auto size_bytes = row_bytes(dtype, kGoldenRows * kGoldenCols).value();
  const File file(golden_path(upper_name(dtype) + ".gguf"));
  const std::uint64_t begin = file.size_bytes() - checked_align(size_bytes, 32).value();
  EXPECT_EQ(begin, 128U) << file.path();
  std::vector<std::byte> bytes(size_bytes);
  file.read_at(begin, bytes);
  return bytes;
}

// The same numbers every time.
std::mt19937 seeded(std::uint32_t seed) {
  return std::mt19937(seed);
}

std::vector<std::byte> random_bytes(std::size_t n, std::mt19937& random) {
  std::vector<std::byte> bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0xffU);
  return bytes;
}

// The reference works out the same formulas in float, in the same order, so the values agree exactly (the case allows
// 1e-6 of the row's maximum).
TEST(Dequantize, AgreesWithTheReference) {
  const golden::Tensors expected = golden::load(golden_path("expected.safetensors"));
  std::size_t compared = 0;
  for (const DType dtype : decodable_dtypes()) {
    if (dtype == DType::kF64) continue;
    SCOPED_TRACE(dtype_info(dtype).name);
    const auto bytes = golden_bytes(dtype);
    const std::span<const float> values = expected.floats(upper_name(dtype));
    ASSERT_EQ(values.size(), kGoldenRows * kGoldenCols);
    std::vector<float> row(kGoldenCols);
    for (std::size_t i = 0; i < kGoldenRows; ++i) {
      const std::size_t row_size = bytes.size() / kGoldenRows;
      dequantize_row(dtype, std::span(bytes).subspan(i * row_size, row_size), row);
      EXPECT_EQ(golden::mismatch(row, values.subspan(i * kGoldenCols, kGoldenCols), {}), "") << "row " << i;
    }
    ++compared;
  }
  EXPECT_EQ(compared, expected.size());
}

TEST(Dequantize, KnowsAllButTheIntegers) {
  EXPECT_EQ(decodable_dtypes().size(), kDTypeCount - 4);
  EXPECT_FALSE(can_dequantize(DType::kI8));
  EXPECT_FALSE(can_dequantize(DType::kI64));
}

TEST(Dequantize, ReadsDoubles) {
  const double values[] = {1.5, -2.0e300, 0.1};
  float out[3];
  dequantize_row(DType::kF64, std::as_bytes(std::span(values)), out);
  EXPECT_EQ(out[0], 1.5F);
  EXPECT_EQ(out[1], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(out[2], 0.1F);
}

// Any bits whatever, at odd addresses: no fault (the sanitizers watch), nothing written beyond the row, every value a
// function of the block's bytes alone.
TEST(Dequantize, DecodesGarbageAndTwiceTheSame) {
  constexpr float kGuard = 12345.0F;
  std::mt19937 random = seeded(20240501);
  for (const DType dtype : decodable_dtypes()) {
    SCOPED_TRACE(dtype_info(dtype).name);
    const std::size_t values = 8 * dtype_info(dtype).block_values;
    const std::size_t size_bytes = row_bytes(dtype, values).value();
    for (int round = 0; round < 200; ++round) {
      const auto bytes = random_bytes(size_bytes, random);
      std::vector<std::byte> shifted(size_bytes + 1);
      std::memcpy(shifted.data() + 1, bytes.data(), size_bytes);

      std::vector<float> first(values + 1, kGuard);
      std::vector<float> second(values + 1, kGuard);
      dequantize_row(dtype, bytes, std::span(first).first(values));
      dequantize_row(dtype, std::span(shifted).subspan(1), std::span(second).first(values));
      ASSERT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0);
      ASSERT_EQ(first.back(), kGuard);
    }
  }
}

// Blocks of only zeros and only ones: the smallest and largest of every index, code and scale.
TEST(Dequantize, DecodesExtremeBlocks) {
  for (const DType dtype : decodable_dtypes()) {
    SCOPED_TRACE(dtype_info(dtype).name);
    std::vector<float> out(dtype_info(dtype).block_values);
    const std::vector<std::byte> ones(dtype_info(dtype).block_bytes, std::byte{0xff});
    dequantize_row(dtype, ones, out);
    const std::vector<std::byte> zeros(dtype_info(dtype).block_bytes, std::byte{0});
    dequantize_row(dtype, zeros, out);
    for (const float x : out) EXPECT_EQ(x, 0.0F);  // scales are zero
  }
}

TEST(Dequantize, TakesAnEmptyRow) {
  for (const DType dtype : decodable_dtypes()) dequantize_row(dtype, {}, {});
}

// Codes that the golden files, made of random bits or by the reference's encoders, may not hold.
TEST(Dequantize, FollowsGgufWhereOthersDiffer) {
  std::vector<std::byte> mxfp4(17, std::byte{0x22});  // codes 2: level 2, half of which is 1.0
  std::vector<float> out(32);
  mxfp4[0] = std::byte{127};
  dequantize_row(DType::kMXFP4, mxfp4, out);
  EXPECT_EQ(out[0], 1.0F);
  mxfp4[0] = std::byte{0};
  dequantize_row(DType::kMXFP4, mxfp4, out);
  EXPECT_EQ(out[0], 0x1p-127F);
  mxfp4[0] = std::byte{254};
  dequantize_row(DType::kMXFP4, mxfp4, out);
  EXPECT_EQ(out[0], 0x1p127F);

  std::vector<std::byte> nvfp4(36, std::byte{0x22});
  nvfp4[0] = std::byte{0x38};  // 1.0
  nvfp4[1] = std::byte{0x7f};  // NaN of E4M3: 0
  nvfp4[2] = std::byte{0x7e};  // 448, the largest
  nvfp4[3] = std::byte{0x01};  // 2^-9, the smallest
  out.resize(64);
  dequantize_row(DType::kNVFP4, nvfp4, out);
  EXPECT_EQ(out[0], 1.0F);
  EXPECT_EQ(out[16], 0.0F);
  EXPECT_EQ(out[32], 448.0F);
  EXPECT_EQ(out[48], 0x1p-9F);
}

// ---- encoding -------------------------------------------------------------------------------------------------------

std::vector<DType> encodable_dtypes() {
  std::vector<DType> dtypes;
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    if (can_quantize(static_cast<DType>(i))) dtypes.push_back(static_cast<DType>(i));
  }
  return dtypes;
}

std::vector<std::byte> encoded(DType dtype, std::span<const float> x) {
  std::vector<std::byte> bytes(row_bytes(dtype, x.size()).value());
  quantize_row(dtype, x, bytes);
  return bytes;
}

std::vector<float> encoded_and_decoded(DType dtype, std::span<const float> x) {
  std::vector<float> out(x.size());
  dequantize_row(dtype, encoded(dtype, x), out);
  return out;
}

// Values as a model's weights may be distributed, all far above the smallest 16-bit float.
struct Sample {
  std::string name;
  std::vector<float> x;
};
std::vector<Sample> samples() {
  constexpr std::size_t kValues = 64 * 256;
  std::mt19937 random = seeded(7);
  std::normal_distribution<float> normal;
  const auto make = [&](const std::string& name, const auto& value) {
    Sample sample{name, std::vector<float>(kValues)};
    for (float& x : sample.x) x = value();
    return sample;
  };
  const auto cubed = [&] {
    const float x = normal(random);
    return x * x * x;
  };
  std::vector<Sample> all;
  all.push_back(make("normal", [&] { return 0.02F * normal(random); }));
  all.push_back(make("heavy-tailed", cubed));
  all.push_back(make("positive", [&] { return 1.0F + std::abs(normal(random)); }));
  all.push_back(make("negative", [&] { return -3.0F + std::uniform_real_distribution<float>(0.0F, 1.0F)(random); }));
  all.push_back(make("two values", [&] { return normal(random) < 0.0F ? -0.5F : 0.25F; }));
  Sample outliers = make("outliers", [&] { return normal(random); });
  for (std::size_t i = 100; i < kValues; i += 1000) outliers.x[i] = 60.0F;
  all.push_back(outliers);
  return all;
}

// F32.gguf holds what the reference encoded into the other files.
TEST(Quantize, MakesTheReferencesBytes) {
  std::vector<float> x(kGoldenRows * kGoldenCols);
  dequantize_row(DType::kF32, golden_bytes(DType::kF32), x);
  for (const DType dtype : encodable_dtypes()) {
    if (dtype == DType::kQ4_K || dtype == DType::kQ6_K) continue;  // encoders of our own
    EXPECT_EQ(encoded(dtype, x), golden_bytes(dtype)) << dtype_info(dtype).name;
  }
}

TEST(Quantize, RoundsFloatsToNearest) {
  for (const Sample& sample : samples()) {
    const auto f16 = encoded_and_decoded(DType::kF16, sample.x);
    const auto bf16 = encoded_and_decoded(DType::kBF16, sample.x);
    EXPECT_EQ(encoded_and_decoded(DType::kF32, sample.x), sample.x);
    for (std::size_t i = 0; i < sample.x.size(); ++i) {
      ASSERT_LE(std::abs(f16[i] - sample.x[i]), std::abs(sample.x[i]) * 0x1p-11F + 0x1p-25F);
      ASSERT_LE(std::abs(bf16[i] - sample.x[i]), std::abs(sample.x[i]) * 0x1p-8F);
    }
  }
}

// The error of rounding to the nearest code is half a step. Beyond that: a 16-bit scale is off by 2^-11 of itself,
// which the largest code multiplies; the types around zero have one code less above zero than below, so that a value
// opposite to the peak may be a whole step off; a 16-bit minimum is off by 2^-11 of itself.
TEST(Quantize, StaysWithinTheBoundOfBlocksOf32) {
  struct Bound {
    DType dtype;
    bool has_minimum;
    float steps;  // that the range (with minimum) or the peak (without) is cut into
    float steps_off;
  };
  for (const Bound& bound : {Bound{DType::kQ4_0, false, 8.0F, 1.0F}, Bound{DType::kQ4_1, true, 15.0F, 0.5F},
                             Bound{DType::kQ5_0, false, 16.0F, 1.0F}, Bound{DType::kQ5_1, true, 31.0F, 0.5F},
                             Bound{DType::kQ8_0, false, 127.0F, 0.5F}}) {
    for (const Sample& sample : samples()) {
      SCOPED_TRACE(std::string(dtype_info(bound.dtype).name) + ", " + sample.name);
      const auto out = encoded_and_decoded(bound.dtype, sample.x);
      for (std::size_t first = 0; first < out.size(); first += 32) {
        const auto x = std::span(sample.x).subspan(first, 32);
        const auto [low, high] = std::ranges::minmax(x);
        const float peak = std::max(std::abs(low), std::abs(high));
        const float range = bound.has_minimum ? high - low : peak;
        const float allowed = 1.001F * (bound.steps_off / bound.steps * range + 0x1p-11F * range +
                                        (bound.has_minimum ? 0x1p-11F * std::abs(low) : 0.0F));
        EXPECT_EQ(golden::mismatch(std::span(out).subspan(first, 32), x, {.absolute = allowed}), "");
      }
    }
  }
}

double root_mean_square_error(std::span<const float> actual, std::span<const float> expected) {
  double sum = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double difference = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    sum += difference * difference;
  }
  return std::sqrt(sum / static_cast<double>(actual.size()));
}

// The step that the plain method would cut a group into: for Q4_K between the smallest value (or 0) and the largest,
// for Q6_K between zero and the peak.
double plain_step(DType dtype, std::span<const float> group) {
  const auto [low, high] = std::ranges::minmax(group);
  if (dtype == DType::kQ6_K) return std::max(std::abs(low), std::abs(high)) / 32.0;
  return (static_cast<double>(high) - std::min(low, 0.0F)) / 15.0;
}

// Plain rounding with exact scales errs by step / sqrt(12) in the root mean square, where values fill a step evenly.
// The search has to make up for what rounding the scales to 6 or 8 bits costs: 10 % more are allowed. And no value is
// off by more than the largest step in its block.
TEST(Quantize, SearchedScalesAreAsGoodAsExactOnes) {
  for (const DType dtype : {DType::kQ4_K, DType::kQ6_K}) {
    const std::size_t group_values = dtype == DType::kQ6_K ? 16 : 32;
    for (const Sample& sample : samples()) {
      SCOPED_TRACE(std::string(dtype_info(dtype).name) + ", " + sample.name);
      const auto out = encoded_and_decoded(dtype, sample.x);
      double squared_steps = 0.0;
      for (std::size_t first = 0; first < out.size(); first += 256) {
        double largest_step = 0.0;
        for (std::size_t i = first; i < first + 256; i += group_values) {
          const double step = plain_step(dtype, std::span(sample.x).subspan(i, group_values));
          squared_steps += step * step * static_cast<double>(group_values);
          largest_step = std::max(largest_step, step);
        }
        EXPECT_EQ(golden::mismatch(std::span(out).subspan(first, 256), std::span(sample.x).subspan(first, 256),
                                   {.absolute = largest_step}),
                  "");
      }
      const double plain_error = std::sqrt(squared_steps / 12.0 / static_cast<double>(out.size()));
      EXPECT_LE(root_mean_square_error(out, sample.x), 1.1 * plain_error);
    }
  }
}

// With 4.5 bits a value, no more error than Q4_1 with 5.
TEST(Quantize, Q4KBeatsQ41OnNormalValues) {
  const Sample normal = samples().front();
  EXPECT_LT(root_mean_square_error(encoded_and_decoded(DType::kQ4_K, normal.x), normal.x),
            root_mean_square_error(encoded_and_decoded(DType::kQ4_1, normal.x), normal.x));
}

TEST(Quantize, KeepsZerosAndConstants) {
  for (const DType dtype : encodable_dtypes()) {
    SCOPED_TRACE(dtype_info(dtype).name);
    for (const float constant : {0.0F, 1.0F, -1.0F, 0.375F, 60000.0F}) {
      const std::vector<float> x(256, constant);
      // 2^-8: precision of bf16, the coarsest; the others err by the 2^-11 of their 16-bit scale, or twice that.
      EXPECT_EQ(golden::mismatch(encoded_and_decoded(dtype, x), x, {.relative_to_max = 0x1p-8}), "") << constant;
    }
  }
}

// What is encoded twice doesn't change. (Q4_0 and Q5_0 may: where no value is at code 0, the peak changes its sign.)
TEST(Quantize, EncodesItsOwnValuesExactly) {
  for (const Sample& sample : samples()) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0}) {
      const auto once = encoded_and_decoded(dtype, sample.x);
      EXPECT_EQ(encoded_and_decoded(dtype, once), once) << dtype_info(dtype).name << ", " << sample.name;
    }
  }
}

// Any 32 bits as values: NaN, infinities, the tiniest and the largest numbers. No fault (the sanitizers watch), and
// nothing written beyond the row.
TEST(Quantize, TakesAnyFloatWithoutAFault) {
  constexpr std::byte kGuard{0xa5};
  std::mt19937 random = seeded(11);
  for (const DType dtype : encodable_dtypes()) {
    SCOPED_TRACE(dtype_info(dtype).name);
    for (int round = 0; round < 200; ++round) {
      std::vector<float> x(512);
      for (float& value : x) value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
      if (round % 4 == 1) std::ranges::fill(x, std::numeric_limits<float>::denorm_min());
      if (round % 4 == 2) std::ranges::fill(x, -std::numeric_limits<float>::infinity());
      if (round % 4 == 3) x[static_cast<std::size_t>(round)] = std::numeric_limits<float>::quiet_NaN();
      std::vector<std::byte> out(row_bytes(dtype, x.size()).value() + 1, kGuard);
      quantize_row(dtype, x, std::span(out).first(out.size() - 1));
      ASSERT_EQ(out.back(), kGuard);
      dequantize_row(dtype, std::span(out).first(out.size() - 1), x);
    }
  }
}

// Values so small that 16-bit scales lose bits, or all of them: a scale or a minimum below 2^-24 becomes 2^-24 from
// half of it on and else 0, off by at most itself. So the range of values, up to twice the largest, may be lost or
// doubled and the minimum as well, which adds up to three times the largest.
TEST(Quantize, TinyValuesStayTiny) {
  for (const DType dtype : encodable_dtypes()) {
    for (int halvings = 0; halvings < 150; ++halvings) {  // of 3/4096, down to nothing at all
      const float size = std::ldexp(3.0F, -12 - halvings);
      std::vector<float> x(256);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = size * (static_cast<float>(i % 17) - 8.0F) / 8.0F;
      EXPECT_EQ(golden::mismatch(encoded_and_decoded(dtype, x), x, {.relative_to_max = 3.0}), "")
          << dtype_info(dtype).name << ' ' << size;
    }
  }
}

}  // namespace
}  // namespace carat
