#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tensor/blocks.h"

namespace carat {
namespace {

std::vector<DType> all_dtypes() {
  std::vector<DType> all;
  for (std::size_t i = 0; i < kDTypeCount; ++i) all.push_back(static_cast<DType>(i));
  return all;
}

TEST(DType, EveryNameAndNumberLeadsBack) {
  std::set<std::uint32_t> ids;
  std::set<std::string_view> names;
  for (const DType dtype : all_dtypes()) {
    const DTypeInfo& info = dtype_info(dtype);
    EXPECT_EQ(info.dtype, dtype);
    EXPECT_EQ(dtype_from_name(info.name), dtype);
    EXPECT_EQ(dtype_from_gguf_id(info.gguf_id), dtype);
    if (!info.safetensors_name.empty()) {
      EXPECT_EQ(dtype_from_safetensors_name(info.safetensors_name), dtype);
    }
    ids.insert(info.gguf_id);
    names.insert(info.name);
  }
  EXPECT_EQ(ids.size(), kDTypeCount);
  EXPECT_EQ(names.size(), kDTypeCount);
  EXPECT_EQ(dtype_from_name("Q4_K"), DType::kQ4_K);
  EXPECT_FALSE(dtype_from_name(""));
  EXPECT_FALSE(dtype_from_name("q4"));
  EXPECT_FALSE(dtype_from_gguf_id(4)) << "q4_2, withdrawn";
  EXPECT_FALSE(dtype_from_safetensors_name(""));
  EXPECT_FALSE(dtype_from_safetensors_name("Q4_K"));
}

// types.json: the same facts as the gguf package states them.
TEST(DType, TableAgreesWithGguf) {
  const json::value types = parse_json_file(CARAT_TEST_DATA "/golden/quants/types.json");
  std::size_t compared = 0;
  for (const auto& [name, facts] : types.as_object()) {
    if (facts.as_object().contains("skipped")) continue;
    const auto dtype = dtype_from_name(name);
    ASSERT_TRUE(dtype) << name;
    const DTypeInfo& info = dtype_info(*dtype);
    EXPECT_EQ(info.gguf_id, facts.at("ggml_type").to_number<std::uint32_t>()) << name;
    EXPECT_EQ(info.block_values, facts.at("block_size").to_number<std::uint32_t>()) << name;
    EXPECT_EQ(info.block_bytes, facts.at("block_bytes").to_number<std::uint32_t>()) << name;
    ++compared;
  }
  EXPECT_EQ(compared, kDTypeCount - 5) << "all but f64 and the integers";
}

template <typename Block>
void expect_size(DType dtype) {
  EXPECT_EQ(dtype_info(dtype).block_bytes, sizeof(Block)) << dtype_info(dtype).name;
  EXPECT_EQ(dtype_info(dtype).block_values, Block::kValues) << dtype_info(dtype).name;
}

TEST(DType, TableAgreesWithBlocks) {
  expect_size<BlockQ4_0>(DType::kQ4_0);
  expect_size<BlockQ4_1>(DType::kQ4_1);
  expect_size<BlockQ5_0>(DType::kQ5_0);
  expect_size<BlockQ5_1>(DType::kQ5_1);
  expect_size<BlockQ8_0>(DType::kQ8_0);
  expect_size<BlockQ2_K>(DType::kQ2_K);
  expect_size<BlockQ3_K>(DType::kQ3_K);
  expect_size<BlockQ4_K>(DType::kQ4_K);
  expect_size<BlockQ5_K>(DType::kQ5_K);
  expect_size<BlockQ6_K>(DType::kQ6_K);
  expect_size<BlockIQ1_S>(DType::kIQ1_S);
  expect_size<BlockIQ1_M>(DType::kIQ1_M);
  expect_size<BlockIQ2_XXS>(DType::kIQ2_XXS);
  expect_size<BlockIQ2_XS>(DType::kIQ2_XS);
  expect_size<BlockIQ2_S>(DType::kIQ2_S);
  expect_size<BlockIQ3_XXS>(DType::kIQ3_XXS);
  expect_size<BlockIQ3_S>(DType::kIQ3_S);
  expect_size<BlockIQ4_NL>(DType::kIQ4_NL);
  expect_size<BlockIQ4_XS>(DType::kIQ4_XS);
  expect_size<BlockTQ1_0>(DType::kTQ1_0);
  expect_size<BlockTQ2_0>(DType::kTQ2_0);
  expect_size<BlockMXFP4>(DType::kMXFP4);
  expect_size<BlockNVFP4>(DType::kNVFP4);
}

TEST(DType, RowBytesCountsWholeBlocks) {
  EXPECT_EQ(row_bytes(DType::kF32, 0), 0U);
  EXPECT_EQ(row_bytes(DType::kF32, 3), 12U);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 64), 36U);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 512), 420U);
  EXPECT_FALSE(row_bytes(DType::kQ4_0, 33));
  EXPECT_FALSE(row_bytes(DType::kQ6_K, 128));
  EXPECT_FALSE(row_bytes(DType::kF64, std::numeric_limits<std::uint64_t>::max() / 4));
  EXPECT_EQ(row_bytes(DType::kQ4_0, std::uint64_t{1} << 63), (std::uint64_t{1} << 58) * 18);
}

}  // namespace
}  // namespace carat
