#include "cli/suggest.h"

#include <gtest/gtest.h>

#include <vector>

namespace carat {
namespace {

TEST(Suggest, EditDistanceCountsChangesAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "run"), 3U);
  EXPECT_EQ(edit_distance("run", "run"), 0U);
  EXPECT_EQ(edit_distance("rnu", "run"), 1U);
  EXPECT_EQ(edit_distance("shwo", "show"), 1U);
  EXPECT_EQ(edit_distance("bnech", "bench"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Suggest, OffersOnlyWhatIsNear) {
  const std::vector<std::string> verbs{"run", "show", "perplexity", "bench", "debug"};
  EXPECT_EQ(nearest_name("rum", verbs), "run");
  EXPECT_EQ(nearest_name("perplexty", verbs), "perplexity");
  EXPECT_EQ(nearest_name("perp", verbs), "perplexity");
  EXPECT_EQ(nearest_name("serve", verbs), std::nullopt);
  EXPECT_EQ(nearest_name("", verbs), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100'000, 'x'), verbs), std::nullopt);
}

}  // namespace
}  // namespace carat
