#include "sampling/random.h"

#include <gtest/gtest.h>

#include <array>

namespace carat {
namespace {

TEST(Random, IsSplitMix64) {
  // The sequence for this seed that implementations of SplitMix64 are commonly checked with (Rosetta Code,
  // "Pseudo-random numbers/Splitmix64").
  constexpr std::array<std::uint64_t, 5> kExpected{6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                                   4593380528125082431U, 16408922859458223821U};
  Random random(1234567);
  for (const std::uint64_t expected : kExpected) EXPECT_EQ(random.next(), expected);
}

TEST(Random, UniformIsTheUpper53Bits) {
  Random random(1234567);
  EXPECT_EQ(random.uniform(), static_cast<double>(6457827717110365317U >> 11) / 9007199254740992.0);
  for (int i = 0; i < 100'000; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
  }
}

TEST(Random, ACopyGoesOnAlike) {
  Random random(7);
  random.next();
  Random copy = random;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(copy.next(), random.next());
}

TEST(Random, FreshSeedsDiffer) {
  EXPECT_NE(fresh_seed(), fresh_seed());
}

}  // namespace
}  // namespace carat
