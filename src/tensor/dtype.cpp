#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "base/checked.h"

namespace carat {
namespace {

// Row i describes the DType with number i.
constexpr std::array<DTypeInfo, kDTypeCount> kDTypes{{
    {DType::kF32, "f32", 0, "F32", 1, 4},
    {DType::kF16, "f16", 1, "F16", 1, 2},
    {DType::kBF16, "bf16", 30, "BF16", 1, 2},
    {DType::kF64, "f64", 28, "F64", 1, 8},
    {DType::kI8, "i8", 24, "I8", 1, 1},
    {DType::kI16, "i16", 25, "I16", 1, 2},
    {DType::kI32, "i32", 26, "I32", 1, 4},
    {DType::kI64, "i64", 27, "I64", 1, 8},
    {DType::kQ4_0, "q4_0", 2, "", 32, 18},
    {DType::kQ4_1, "q4_1", 3, "", 32, 20},
    {DType::kQ5_0, "q5_0", 6, "", 32, 22},
    {DType::kQ5_1, "q5_1", 7, "", 32, 24},
    {DType::kQ8_0, "q8_0", 8, "", 32, 34},
    {DType::kQ2_K, "q2_k", 10, "", 256, 84},
    {DType::kQ3_K, "q3_k", 11, "", 256, 110},
    {DType::kQ4_K, "q4_k", 12, "", 256, 144},
    {DType::kQ5_K, "q5_k", 13, "", 256, 176},
    {DType::kQ6_K, "q6_k", 14, "", 256, 210},
    {DType::kIQ1_S, "iq1_s", 19, "", 256, 50},
    {DType::kIQ1_M, "iq1_m", 29, "", 256, 56},
    {DType::kIQ2_XXS, "iq2_xxs", 16, "", 256, 66},
    {DType::kIQ2_XS, "iq2_xs", 17, "", 256, 74},
    {DType::kIQ2_S, "iq2_s", 22, "", 256, 82},
    {DType::kIQ3_XXS, "iq3_xxs", 18, "", 256, 98},
    {DType::kIQ3_S, "iq3_s", 21, "", 256, 110},
    {DType::kIQ4_NL, "iq4_nl", 20, "", 32, 18},
    {DType::kIQ4_XS, "iq4_xs", 23, "", 256, 136},
    {DType::kTQ1_0, "tq1_0", 34, "", 256, 54},
    {DType::kTQ2_0, "tq2_0", 35, "", 256, 66},
    {DType::kMXFP4, "mxfp4", 39, "", 32, 17},
    {DType::kNVFP4, "nvfp4", 40, "", 64, 36},
}};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (static_cast<std::size_t>(kDTypes[i].dtype) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order());

template <typename Matches>
std::optional<DType> find_dtype(const Matches& matches) {
  const auto row = std::ranges::find_if(kDTypes, matches);
  if (row == kDTypes.end()) return std::nullopt;
  return row->dtype;
}

}  // namespace

const DTypeInfo& dtype_info(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype)];
}

std::optional<DType> dtype_from_gguf_id(std::uint32_t id) {
  return find_dtype([&](const DTypeInfo& row) { return row.gguf_id == id; });
}

std::optional<DType> dtype_from_safetensors_name(std::string_view name) {
  return find_dtype([&](const DTypeInfo& row) { return !name.empty() && row.safetensors_name == name; });
}

std::optional<DType> dtype_from_name(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return find_dtype([&](const DTypeInfo& row) { return row.name == lower; });
}

std::optional<std::uint64_t> row_bytes(DType dtype, std::uint64_t n) {
  const DTypeInfo& info = dtype_info(dtype);
  if (n % info.block_values != 0) return std::nullopt;
  return checked_mul(n / info.block_values, info.block_bytes);
}

}  // namespace carat
