#include "server/multipart.h"

#include <gtest/gtest.h>

#include "server/api_error.h"
#include "server/gunzip.h"

namespace carat {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=\"b b\"";

TEST(Multipart, Parts) {
  const auto parts = parse_multipart(
      "--b b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".wav\"\r\nContent-Type: "
      "audio/wav\r\n\r\n"
      "RIFF\r\n--b\r\n\r\n--b b\r\ncontent-disposition: form-data; name=model\r\n\r\n\r\n--b b--\r\n",
      kType);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].name, "file");
  EXPECT_EQ(parts[0].file_name, "a \"b\".wav");
  EXPECT_EQ(parts[0].value, "RIFF\r\n--b\r\n");
  EXPECT_EQ(parts[1].name, "model");
  EXPECT_EQ(parts[1].value, "");
  EXPECT_TRUE(parse_multipart("--b b--", kType).empty());
}

TEST(Multipart, RefusesWhatIsNone) {
  const std::string head = "Content-Disposition: form-data; name=\"a\"";
  for (const std::string& body :
       {std::string(), std::string("--b"), std::string("--b b"), std::string("--b b\r\n"),
        "--b b\r\n" + head + "\r\n\r\nx", "--b b\r\n" + head + "\r\n\r\nx\r\n--b b",
        std::string("--b b\r\n\r\n\r\nx\r\n--b b--"), "--b bx\r\n" + head + "\r\n\r\nx\r\n--b b--",
        std::string("--b b\r\nno colon\r\n\r\nx\r\n--b b--")}) {
    EXPECT_THROW(parse_multipart(body, kType), ApiError) << body;
  }
  for (const char* type : {"", "application/json", "multipart/form-data", "multipart/form-data; boundary=",
                           "multipart/form-data; boundary=\"\"", "multipart/mixed; boundary=b"}) {
    EXPECT_THROW(parse_multipart("--b--", type), ApiError) << type;
  }
  // A part may begin where the one before ends, and its head where the body does.
  std::string many;
  for (int i = 0; i < 257; ++i) many += "--b b\r\n" + head + "\r\n\r\nx\r\n";
  EXPECT_THROW(parse_multipart(many + "--b b--", kType), ApiError);
}

TEST(Gunzip, RefusesWhatIsNone) {
  EXPECT_THROW(gunzip("", 100), ApiError);
  EXPECT_THROW(gunzip("\x1f\x8b\x08", 100), ApiError);
  EXPECT_THROW(gunzip("plain", 100), ApiError);
}

}  // namespace
}  // namespace carat
