#include "server/http_framing.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "server/http_message.h"

namespace carat {
namespace {

std::string head(const std::string& line, const std::string& fields = "Host: localhost\r\n") {
  return line + "\r\n" + fields + "\r\n";
}

int status_of(const std::string& text) {
  const auto problem = check_head(text);
  return problem ? problem->status : 200;
}

TEST(HttpFraming, TakesProperHeads) {
  EXPECT_EQ(status_of(head("GET / HTTP/1.1")), 200);
  EXPECT_EQ(status_of(head("GET / HTTP/1.0", "")), 200);
  EXPECT_EQ(status_of(head("OPTIONS * HTTP/1.1")), 200);
  EXPECT_EQ(status_of(head("POST /v1/x?a=b%20c HTTP/1.1", "Host:a\r\nContent-Length: 0\r\nX-Y: \t z \r\n")), 200);
  EXPECT_EQ(status_of(head("POST /v1 HTTP/1.1", "Host: a\r\nTransfer-Encoding: Chunked\r\n")), 200);
}

// S-22, S-35: what a proxy before this server might read otherwise.
TEST(HttpFraming, RefusesWhatCanBeReadInTwoWays) {
  const std::string host = "Host: a\r\n";
  for (const std::string& text : {
           head("GET  / HTTP/1.1"),
           head("GET /"),
           head("GET"),
           head(""),
           head(" GET / HTTP/1.1"),
           head("G\x01T / HTTP/1.1"),
           head("G(T / HTTP/1.1"),
           head("GET http://a/ HTTP/1.1"),
           head("GET a HTTP/1.1"),
           head("GET * HTTP/1.1"),
           head("GET /a b HTTP/1.1"),
           head("GET /a\\b HTTP/1.1"),
           head("GET /a#b HTTP/1.1"),
           head("CONNECT a:1 HTTP/1.1"),
           std::string("GET / HTTP/1.1\nHost: a\n\n"),
           std::string("GET / HTTP/1.1\r\nHost: a\n\r\n"),
           std::string("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
           head("GET / HTTP/1.1", "Host: a\r\n folded\r\n"),
           head("GET / HTTP/1.1", "Host: a\r\n\tfolded\r\n"),
           head("GET / HTTP/1.1", " Host: a\r\n"),
           head("GET / HTTP/1.1", host + "X : y\r\n"),
           head("GET / HTTP/1.1", host + ": y\r\n"),
           head("GET / HTTP/1.1", host + "no colon\r\n"),
           head("GET / HTTP/1.1", host + "X: a\x7f\r\n"),
           head("GET / HTTP/1.1", host + std::string("X: a\0b\r\n", 8)),
           head("GET / HTTP/1.1", ""),
           head("GET / HTTP/1.1", host + host),
           head("POST / HTTP/1.1", host + "Content-Length: +1\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length: -1\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length: 0x10\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length: 1 2\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length:\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length: 1,1\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length: 99999999999999999999\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length: 1\r\nContent-Length: 1\r\n"),
           head("POST / HTTP/1.1", host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
           head("POST / HTTP/1.1", host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
           head("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"),
       }) {
    EXPECT_EQ(status_of(text), 400) << text;
  }
  EXPECT_EQ(status_of(head("GET / HTTP/2.0")), 505);
  EXPECT_EQ(status_of(head("GET / http/1.1")), 505);
  EXPECT_EQ(status_of(head("POST / HTTP/1.1", host + "Transfer-Encoding: chunked, gzip\r\n")), 501);
  EXPECT_EQ(status_of(head("POST / HTTP/1.1", host + "Transfer-Encoding: xchunked\r\n")), 501);
}

TEST(HttpFraming, HasLimits) {
  EXPECT_EQ(status_of(head("GET /" + std::string(8191, 'a') + " HTTP/1.1")), 200);
  EXPECT_EQ(status_of(head("GET /" + std::string(8192, 'a') + " HTTP/1.1")), 414);
  EXPECT_EQ(status_of(head("GET / HTTP/1.1", "Host: a\r\nX: " + std::string(16384, 'a') + "\r\n")), 431);
  std::string fields = "Host: a\r\n";
  for (int i = 1; i < 100; ++i) fields += str("X-", i, ": 1\r\n");
  EXPECT_EQ(status_of(head("GET / HTTP/1.1", fields)), 200);
  EXPECT_EQ(status_of(head("GET / HTTP/1.1", fields + "One: more\r\n")), 431);
}

TEST(HttpMessage, Decodes) {
  EXPECT_EQ(percent_decode("/v1/models/gemma4%3Ae2b%2fx"), "/v1/models/gemma4:e2b/x");
  for (const char* text : {"%", "%4", "%4g", "%00", "a%", "%%41"})
    EXPECT_EQ(percent_decode(text), std::nullopt) << text;
  EXPECT_EQ(query_parameter("a=1&beta=true&c", "beta"), "true");
  EXPECT_EQ(query_parameter("a=x+y%21&a=2", "a"), "x y!");
  EXPECT_EQ(query_parameter("a=1&c", "c"), "");
  EXPECT_EQ(query_parameter("a=1&&c", "b"), std::nullopt);
  EXPECT_TRUE(equals_ignoring_case("Content-TYPE", "content-type"));
  EXPECT_NE(random_id("req_"), random_id("req_"));
}

}  // namespace
}  // namespace carat
