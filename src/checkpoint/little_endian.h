// Numbers as both checkpoint formats store them: little-endian, at any address.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace carat {

static_assert(std::endian::native == std::endian::little, "tensors are used as they lie in the file");

// The value at bytes[offset, offset + sizeof(T)), which the caller has checked to exist.
template <typename T>
T load_little_endian(std::span<const std::byte> bytes, std::uint64_t offset) {
  assert(offset <= bytes.size() && bytes.size() - offset >= sizeof(T));
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace carat
