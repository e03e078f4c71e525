#include "cli/json_lines.h"

#include <gtest/gtest.h>

namespace carat {
namespace {

TEST(Ids, AreIntegersOfThirtyOneBits) {
  const auto ids = [](const char* text) { return ids_from_json(parse_json(text, "t", ErrorKind::kBadInput), "t"); };
  EXPECT_EQ(ids("[]"), (std::vector<std::int32_t>{}));
  EXPECT_EQ(ids("[2, 105, 2147483647]"), (std::vector<std::int32_t>{2, 105, 2147483647}));
  for (const char* text : {"{}", "3", "[-1]", "[2147483648]", "[1.0]", "[\"1\"]", "[null]", "[[1]]"}) {
    EXPECT_THROW(ids(text), Error) << text;
  }
}

}  // namespace
}  // namespace carat
