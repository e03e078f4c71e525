// For the tests of kernels: buffers with guards around them, values worth trying, and comparison of bits.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu.h"
#include "kernels/tables.h"

namespace carat {

// All tables that run here but the reference.
inline std::vector<const KernelTable*> tables_to_test() {
  std::vector<const KernelTable*> tables;
  for (const KernelTable* table : all_kernels()) {
    if (table != &reference_kernels && (table->needs & ~cpu_features()) == 0) tables.push_back(table);
  }
  return tables;
}

inline std::string table_name(const testing::TestParamInfo<const KernelTable*>& info) {
  return info.param->name;
}

// A copy of values, `offset` elements behind a 64-byte boundary, with bytes before and after that must stay.
template <typename T>
class Guarded {
 public:
  Guarded(const std::vector<T>& values, std::size_t offset)
      : bytes_(kAlign + 2 * kGuard + (values.size() + offset) * sizeof(T), kPattern), size_(values.size()) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    first_ = (address + kAlign - 1) / kAlign * kAlign - address + kGuard + offset * sizeof(T);
    if (size_ > 0) std::memcpy(data(), values.data(), size_ * sizeof(T));
  }
  T* data() { return reinterpret_cast<T*>(bytes_.data() + first_); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data() + first_); }
  std::vector<T> values() const { return {data(), data() + size_}; }

  void expect_guards() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const bool inside = i >= first_ && i < first_ + size_ * sizeof(T);
      if (!inside && bytes_[i] != kPattern) {
        ADD_FAILURE() << "byte " << static_cast<std::ptrdiff_t>(i - first_) << " was written, outside of "
                      << size_ * sizeof(T);
        return;
      }
    }
  }

 private:
  static constexpr std::size_t kAlign = 64;
  static constexpr std::size_t kGuard = 128;
  static constexpr std::uint8_t kPattern = 0xa7;

  std::vector<std::uint8_t> bytes_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

// Numbers to try: normally distributed, or with NaN, infinities, zeros, subnormal and huge ones among them.
class Values {
 public:
  std::vector<float> normal(std::size_t n) {
    std::vector<float> values(n);
    for (float& value : values) value = normal_(random_) * 3;
    return values;
  }
  std::vector<float> any(std::size_t n) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const auto low_nan = std::bit_cast<float>(0x7f800001U);  // an infinity but for the last bit
    const std::vector<float> specials{
        low_nan, 0.0F,    -0.0F,   kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
        1e-40F,  -1e-45F, 3.4e38F, -3.4e38F,  65504.0F,   65520.0F,
        6e-8F,   -88.0F,  -100.0F, 1.0F};
    std::vector<float> values = normal(n);
    for (float& value : values) {
      const std::uint32_t draw = random_() % 64;
      if (draw < specials.size()) value = specials[draw];
      if (draw > 56) value = std::bit_cast<float>(static_cast<std::uint32_t>(random_()));
    }
    return values;
  }
  std::vector<std::uint8_t> bytes(std::size_t n) {
    std::vector<std::uint8_t> values(n);
    for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random_());
    return values;
  }
  std::mt19937& random() { return random_; }

 private:
  std::mt19937 random_{42};
  std::normal_distribution<float> normal_;
};

// The same bits in every element; any two NaNs are the same.
template <typename T>
void expect_same(const std::vector<T>& actual, const std::vector<T>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  std::size_t wrong = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    bool same = false;
    if constexpr (std::is_same_v<T, float>) {
      same = std::bit_cast<std::uint32_t>(actual[i]) == std::bit_cast<std::uint32_t>(expected[i]) ||
             (std::isnan(actual[i]) && std::isnan(expected[i]));
    } else {
      same = actual[i] == expected[i];
    }
    if (!same && wrong++ == 0) first = i;
  }
  if (wrong > 0) {
    ADD_FAILURE() << wrong << " of " << actual.size() << " differ, first [" << first << "]: " << +actual[first]
                  << ", expected " << +expected[first];
  }
}

template <typename T>
void expect_same(const Guarded<T>& actual, const Guarded<T>& expected) {
  expect_same(actual.values(), expected.values());
  actual.expect_guards();
}

}  // namespace carat
