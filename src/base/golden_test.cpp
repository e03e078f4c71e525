#include "base/golden.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace carat {
namespace {

// A safetensors file made of a header and data bytes, removed when it goes out of scope.
class TemporaryFile {
 public:
  TemporaryFile(std::uint64_t header_bytes, const std::string& header_and_data)
      : path_(std::filesystem::path(testing::TempDir()) /
              str("golden_test_", testing::UnitTest::GetInstance()->current_test_info()->name(), ".safetensors")) {
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes));
    out << header_and_data;
  }
  explicit TemporaryFile(const std::string& header, const std::string& data = "")
      : TemporaryFile(header.size(), header + data) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Golden, ReadsEveryDtype) {
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\xc0\xfe\xff\xff\xff\x80\x3f\x07\xff", 16);
  const TemporaryFile file(R"({"__metadata__":{"format":"pt"},
      "f":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},
      "i":{"dtype":"I32","shape":[1],"data_offsets":[8,12]},
      "b":{"dtype":"BF16","shape":[],"data_offsets":[12,14]},
      "u":{"dtype":"U8","shape":[2],"data_offsets":[14,16]},
      "empty":{"dtype":"F32","shape":[0,4],"data_offsets":[16,16]}})",
                           data);
  const golden::Tensors tensors = golden::load(file.path());
  EXPECT_EQ(tensors.size(), 5U);
  EXPECT_EQ(tensors.floats("f"), (std::vector<float>{1.0F, -2.0F}));
  EXPECT_EQ(tensors.shape("f"), (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(tensors.ints("i"), (std::vector<std::int32_t>{-2}));
  EXPECT_EQ(tensors.floats("b"), (std::vector<float>{1.0F}));
  EXPECT_TRUE(tensors.shape("b").empty());
  EXPECT_EQ(tensors.ints("u"), (std::vector<std::int32_t>{7, 255}));
  EXPECT_TRUE(tensors.floats("empty").empty());
  EXPECT_FALSE(tensors.contains("g"));
}

TEST(Golden, SaysWhatIsThereInstead) {
  const TemporaryFile file(R"({"logits":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x");
  const golden::Tensors tensors = golden::load(file.path());
  try {
    tensors.at("logit");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
    EXPECT_NE(std::string(error.what()).find("there are: logits"), std::string::npos) << error.what();
  }
  EXPECT_THROW(tensors.floats("logits"), Error);
}

TEST(Golden, RefusesDamagedFiles) {
  const auto error_of = [](const TemporaryFile& file) -> std::string {
    try {
      golden::load(file.path());
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const auto expect_error = [&](const TemporaryFile& file, const std::string& part) {
    EXPECT_NE(error_of(file).find(part), std::string::npos) << error_of(file);
  };
  expect_error(TemporaryFile(std::numeric_limits<std::uint64_t>::max(), "{}"), "header claims");
  expect_error(TemporaryFile("[]"), "not a JSON object");
  expect_error(TemporaryFile("{"), "not valid JSON");
  expect_error(TemporaryFile(R"({"a":1})"), "tensor a: its header entry is not an object");
  expect_error(TemporaryFile(R"({"a":{}})"), "\"shape\" is missing");
  expect_error(TemporaryFile(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"), "\"shape\" holds");
  expect_error(TemporaryFile(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "123"), "data_offsets");
  expect_error(TemporaryFile(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"), "don't fit");
  expect_error(TemporaryFile(R"({"a":{"dtype":"F32","shape":[9223372036854775808,2],"data_offsets":[0,0]}})"),
               "don't fit");
  expect_error(TemporaryFile(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", "12345678"), "dtype \"F64\"");
  EXPECT_THROW(golden::load("/nonexistent/expected.safetensors"), Error);
}

TEST(Golden, CountsMismatchesAndNamesTheWorst) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> expected{1.0F, -4.0F, 0.0F};
  EXPECT_EQ(golden::mismatch(expected, expected, {}), "");
  EXPECT_EQ(golden::mismatch(std::vector{1.4F, -4.0F, -0.3F}, expected, {.relative_to_max = 0.1001}), "");
  EXPECT_EQ(golden::mismatch(std::vector{1.5F, -4.0F, -2.0F}, expected, {.absolute = 0.25}),
            "2 of 3 values differ by more than 0.25; worst is [2]: -2, expected 0 (difference 2)");
  EXPECT_NE(golden::mismatch(std::vector{1.0F, kNan, 0.0F}, expected, {.absolute = 100.0}), "");
  EXPECT_NE(golden::mismatch(std::vector{1.0F}, expected, {}), "");
  EXPECT_EQ(golden::mismatch(std::vector{kInfinity}, std::vector{kInfinity}, {}), "");
  EXPECT_NE(golden::mismatch(std::vector{1.0F}, std::vector{kInfinity}, {.relative_to_max = 1.0}), "");
  EXPECT_NE(golden::mismatch(std::vector{kNan}, std::vector{kNan}, {}), "");
}

}  // namespace
}  // namespace carat
