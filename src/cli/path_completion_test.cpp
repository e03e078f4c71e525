#include "cli/path_completion.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace carat {
namespace {

class PathCompletion : public testing::Test {
 protected:
  void SetUp() override {
    const char* home = std::getenv("HOME");
    if (home != nullptr) home_before_ = home;
    // One for each test: ctest runs them side by side.
    folder_ = std::filesystem::path(testing::TempDir()) /
              (std::string("path_completion_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "pictures");
    for (const char* name : {"plan.txt", "plot.txt", ".hidden", "two words.txt", "bad\nname"}) {
      std::ofstream(folder_ / name) << "x";
    }
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    setenv("HOME", home_before_.c_str(), 1);
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }

  std::filesystem::path folder_;
  std::string home_before_;
};

using Paths = std::vector<std::string>;

TEST_F(PathCompletion, FindsWhatBeginsLikeThis) {
  EXPECT_EQ(complete_path(at("pl")), (Paths{at("plan.txt"), at("plot.txt")}));
  EXPECT_EQ(complete_path(at("pi")), (Paths{at("pictures/")}));
  EXPECT_EQ(complete_path(at("two w")), (Paths{at("two words.txt")}));
  EXPECT_EQ(complete_path(at("bad")), (Paths{}));
  EXPECT_EQ(complete_path(at("no/such/")), (Paths{}));
  EXPECT_EQ(complete_path(at(".h")), (Paths{at(".hidden")}));
  EXPECT_EQ(complete_path(folder_.string() + "/").size(), 4U);  // without the hidden one
}

TEST_F(PathCompletion, KnowsHome) {
  ASSERT_EQ(setenv("HOME", folder_.c_str(), 1), 0);
  EXPECT_EQ(complete_path("~"), (Paths{"~/"}));
  EXPECT_EQ(complete_path("~/plo"), (Paths{"~/plot.txt"}));
  EXPECT_EQ(expand_home("~/plot.txt"), at("plot.txt"));
  EXPECT_EQ(expand_home("~"), folder_.string());
  EXPECT_EQ(expand_home("~other/x"), "~other/x");
  EXPECT_EQ(expand_home("a~"), "a~");
}

}  // namespace
}  // namespace carat
