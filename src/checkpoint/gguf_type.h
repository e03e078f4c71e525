// The value types of GGUF's metadata: the file's own numbers, names for messages, sizes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace carat {

enum class GgufType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

struct GgufTypeInfo {
  GgufType type;
  std::string_view name;
  std::uint32_t bytes;  // of one value; for strings and arrays 0: they say it themselves
};

const GgufTypeInfo& gguf_type_info(GgufType type);
std::optional<GgufType> gguf_type_from_id(std::uint32_t id);

bool is_integer(GgufType type);  // signed or unsigned; booleans are none
bool is_float(GgufType type);

// What a file's numbers have to be.
inline constexpr std::uint32_t kGgufDefaultAlignment = 32;
inline constexpr std::uint32_t kGgufMinAlignment = 8;
inline constexpr std::uint32_t kGgufMaxAlignment = 1U << 20;
inline constexpr std::uint32_t kGgufMaxDims = 4;
inline constexpr std::uint64_t kGgufMaxNameBytes = 64U << 10;  // of a key or a tensor's name
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";

}  // namespace carat
