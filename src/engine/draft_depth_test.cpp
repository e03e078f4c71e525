#include "engine/draft_depth.h"

#include <gtest/gtest.h>

namespace carat {
namespace {

// Runs rounds in which every pass takes `pass` seconds and `row` for each row, a guess `draft`, and `right` guesses of
// each round come true; returns the depth chosen in the end.
std::size_t settle(DraftDepth& depth, double pass, double row, double draft, std::size_t right) {
  std::size_t chosen = 0;
  for (int round = 0; round < 300; ++round) {
    chosen = depth.choose(8);
    depth.measured(chosen, draft * static_cast<double>(chosen), pass + row * static_cast<double>(chosen + 1));
    depth.accepted(std::min(chosen, right), right >= chosen);
  }
  return chosen;
}

TEST(DraftDepth, GoesDeepWhereGuessesAreRightAndPassesCostAlike) {
  DraftDepth depth(8);
  EXPECT_EQ(settle(depth, 0.05, 0.001, 0.001, 8), 8U);
}

TEST(DraftDepth, StopsGuessingWhereNothingComesTrue) {
  DraftDepth depth(8);
  EXPECT_LE(settle(depth, 0.01, 0.01, 0.005, 0), 1U);
}

TEST(DraftDepth, StopsGuessingWherePassesCostByTheRow) {
  DraftDepth depth(8);
  EXPECT_LE(settle(depth, 0.0001, 0.01, 0.009, 1), 1U);
}

TEST(DraftDepth, TriesAgainWhenGuessesBecomeRight) {
  DraftDepth depth(8);
  settle(depth, 0.05, 0.002, 0.002, 0);
  std::size_t guessed = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::size_t chosen = depth.choose(8);
    depth.measured(chosen, 0.002 * static_cast<double>(chosen), 0.05 + 0.002 * static_cast<double>(chosen + 1));
    depth.accepted(chosen, true);
    guessed = chosen;
  }
  EXPECT_GE(guessed, 4U);
}

TEST(DraftDepth, KeepsToTheLimit) {
  DraftDepth depth(8);
  EXPECT_LE(depth.choose(3), 3U);
  EXPECT_EQ(depth.choose(0), 0U);
}

}  // namespace
}  // namespace carat
