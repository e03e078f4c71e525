#include "server/access.h"

#include <gtest/gtest.h>

namespace carat {
namespace {

using Clock = std::chrono::steady_clock;

ServerRequest request(std::vector<HttpHeader> headers) {
  ServerRequest head;
  head.method = "POST";
  head.peer = "127.0.0.1";
  head.headers = std::move(headers);
  return head;
}

int status(const std::optional<ApiError>& error) {
  return error ? error->status() : 200;
}

// S-30.
TEST(Access, HostsAndOrigins) {
  const Access access({{}, {"gemma.lan"}, {"https://good.example"}});
  for (const char* host :
       {"localhost", "localhost:1", "LOCALHOST:1", "127.0.0.1:1", "10.1.2.3", "[::1]:1", "[fe80::1]", "gemma.lan:1"}) {
    EXPECT_EQ(status(access.check_origin(request({{"Host", host}}))), 200) << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "gemma.lan.evil.example",
                           "[evil]", "[::1", "0x7f000001", "evil:127.0.0.1"}) {
    EXPECT_EQ(status(access.check_origin(request({{"Host", host}}))), 403) << host;
  }
  const auto with_origin = [&](const char* origin) {
    return status(access.check_origin(request({{"Host", "localhost:80"}, {"Origin", origin}})));
  };
  EXPECT_EQ(with_origin("http://localhost:80"), 200);
  EXPECT_EQ(with_origin("https://good.example"), 200);
  for (const char* origin : {"http://localhost", "http://localhost:81", "https://good.example.evil", "null",
                             "localhost:80", "http://evil@localhost:80", "file://"}) {
    EXPECT_EQ(with_origin(origin), 403) << origin;
  }
  EXPECT_TRUE(access.cross_origin_headers(request({{"Origin", "https://evil.example"}})).empty());
  EXPECT_EQ(access.cross_origin_headers(request({{"Origin", "https://good.example"}}))[0].value,
            "https://good.example");
}

TEST(Access, OtherKeysFromNowOn) {
  Access access({{"first-key-0123456789"}, {}, {}});
  const auto with_key = [&](const char* key) { return status(access.check_key(request({{"X-Api-Key", key}}), {})); };
  EXPECT_EQ(with_key("first-key-0123456789"), 200);
  access.set_keys({"second-key-0123456789", "third-key-0123456789"});
  EXPECT_EQ(with_key("first-key-0123456789"), 401);
  EXPECT_EQ(with_key("second-key-0123456789"), 200);
  EXPECT_EQ(with_key("third-key-0123456789"), 200);
}

// S-29.
TEST(Access, Keys) {
  Access access({{"first-key-0123456789", "second-key-0123456789"}, {}, {}});
  const Clock::time_point now;
  EXPECT_EQ(status(access.check_key(request({{"Authorization", "Bearer first-key-0123456789"}}), now)), 200);
  EXPECT_EQ(status(access.check_key(request({{"authorization", "bearer  second-key-0123456789 "}}), now)), 200);
  EXPECT_EQ(status(access.check_key(request({{"X-Api-Key", "second-key-0123456789"}}), now)), 200);
  EXPECT_EQ(status(access.check_key(request({}), now)), 401);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(status(access.check_key(request({{"Authorization", "Bearer first-key-012345678"}}), now)), 401) << i;
  }
  EXPECT_EQ(status(access.check_key(request({{"Authorization", "Bearer first-key-0123456789"}}), now)), 429);
  EXPECT_EQ(status(access.check_key(request({{"x-api-key", "first-key-0123456789"}}), now + std::chrono::seconds(61))),
            200);
  EXPECT_EQ(status(Access({}).check_key(request({}), now)), 200);
}

}  // namespace
}  // namespace carat
