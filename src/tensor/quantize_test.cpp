#include "tensor/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
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
  std::mt19937 random(20240501);  // NOLINT(cert-msc51-cpp): the same bytes every time
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

}  // namespace
}  // namespace carat
