#include "checkpoint/gguf_type.h"

#include <array>

namespace carat {
namespace {

// Row i describes the type with number i.
constexpr std::array<GgufTypeInfo, 13> kGgufTypes{{
    {GgufType::kUint8, "uint8", 1},
    {GgufType::kInt8, "int8", 1},
    {GgufType::kUint16, "uint16", 2},
    {GgufType::kInt16, "int16", 2},
    {GgufType::kUint32, "uint32", 4},
    {GgufType::kInt32, "int32", 4},
    {GgufType::kFloat32, "float32", 4},
    {GgufType::kBool, "bool", 1},
    {GgufType::kString, "string", 0},
    {GgufType::kArray, "array", 0},
    {GgufType::kUint64, "uint64", 8},
    {GgufType::kInt64, "int64", 8},
    {GgufType::kFloat64, "float64", 8},
}};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < kGgufTypes.size(); ++i) {
    if (static_cast<std::size_t>(kGgufTypes[i].type) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order());

}  // namespace

const GgufTypeInfo& gguf_type_info(GgufType type) {
  return kGgufTypes[static_cast<std::size_t>(type)];
}

std::optional<GgufType> gguf_type_from_id(std::uint32_t id) {
  if (id >= kGgufTypes.size()) return std::nullopt;
  return kGgufTypes[id].type;
}

bool is_integer(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kUint16:
    case GgufType::kInt16:
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kUint64:
    case GgufType::kInt64:
      return true;
    default:
      return false;
  }
}

bool is_float(GgufType type) {
  return type == GgufType::kFloat32 || type == GgufType::kFloat64;
}

}  // namespace carat
