#include "server/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "base/error.h"

namespace carat {
namespace {

using namespace std::chrono_literals;

// A client that says and hears bytes.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    is_connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool is_connected() const { return is_connected_; }
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // What comes until `end` has come, or the connection's end.
  std::string hear(std::string_view end) {
    std::string text;
    char byte = 0;
    while (!text.ends_with(end) && ::recv(fd_, &byte, 1, 0) == 1) text += byte;
    return text;
  }
  std::string hear_all() { return hear("\x01 never \x01"); }
  void shut() { ::shutdown(fd_, SHUT_WR); }
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  bool is_connected_ = false;
};

// /echo answers with the body, /stream with three pieces, /endless with pieces for ever, /wait never, /throw throws,
// /block keeps its thread, /quick needs none.
class ServerTest : public ::testing::Test {
 protected:
  void start(HttpLimits limits = {}) {
    HttpOptions options;
    options.limits = limits;
    HttpCallbacks callbacks;
    callbacks.admit = [](const ServerRequest& head) {
      Admission admission;
      if (head.path == "/secret") admission.refusal = ServerResponse{401, "text/plain", {}, "no"};
      admission.max_body_bytes = 1000;
      admission.is_quick = head.path == "/quick";
      return admission;
    };
    callbacks.handle = [this](const std::shared_ptr<Exchange>& exchange) { handle(exchange); };
    callbacks.refuse = [](const ServerRequest&, int status, const std::string& message) {
      return ServerResponse{status, "text/plain", {}, message};
    };
    callbacks.finished = [this](const ServerRequest&, int status, std::size_t, double) { last_status_ = status; };
    server_ = std::make_unique<HttpServer>(options, callbacks);
  }

  void handle(const std::shared_ptr<Exchange>& exchange) {
    const std::string& path = exchange->request().path;
    if (path == "/echo") {
      exchange->respond({200, "text/plain", {}, exchange->request().body});
    } else if (path == "/stream") {
      exchange->begin_stream({200, "text/event-stream", {}, "one"});
      exchange->write("two");
      exchange->write("");
      exchange->write("sixteen bytes...");
      exchange->end_stream();
    } else if (path == "/endless" || path == "/wait") {
      const std::scoped_lock lock(mutex_);  // first: who has heard "begin" and locks finds the exchange held
      if (path == "/endless") exchange->begin_stream({200, "text/event-stream", {}, "begin"});
      exchange->on_gone([this] { is_gone_ = true; });
      held_.push_back(exchange);
    } else if (path == "/quick") {
      exchange->respond({200, "text/plain", {}, "quick"});
    } else if (path == "/block") {
      unblocked_.wait();
      exchange->respond({200, "text/plain", {}, "unblocked"});
    } else if (path == "/throw") {
      throw Error(ErrorKind::kInternal, "thrown");
    }
  }

  RawClient client() { return RawClient(server_->port()); }
  bool comes_true(const std::atomic<bool>& flag) {
    for (int i = 0; i < 500 && !flag; ++i) std::this_thread::sleep_for(10ms);
    return flag;
  }
  bool closes_all() {
    for (int i = 0; i < 500 && server_->open_connections() > 0; ++i) std::this_thread::sleep_for(10ms);
    return server_->open_connections() == 0;
  }

  std::atomic<bool> is_gone_{false};
  std::atomic<int> last_status_{0};
  std::promise<void> unblock_;
  std::shared_future<void> unblocked_{unblock_.get_future()};
  std::mutex mutex_;
  std::vector<std::shared_ptr<Exchange>> held_;
  std::unique_ptr<HttpServer> server_;
};

std::string post(std::string_view path, std::string_view body, std::string_view more = "") {
  return str("POST ", path, " HTTP/1.1\r\nHost: localhost\r\nContent-Length: ", body.size(), "\r\n", more, "\r\n",
             body);
}

TEST_F(ServerTest, KeepsConnectionsAndAnswersInOrder) {
  start();
  RawClient raw(server_->port());
  raw.say(post("/echo", "first", "X-Request-Id: mine-1\r\n"));
  const std::string first = raw.hear("first");
  EXPECT_TRUE(first.starts_with("HTTP/1.1 200 OK\r\n")) << first;
  EXPECT_NE(first.find("X-Request-Id: mine-1\r\n"), std::string::npos);
  EXPECT_NE(first.find("Content-Length: 5\r\n"), std::string::npos);
  // Three at once, one of them in chunks.
  raw.say(post("/echo", "second") + "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
          "3\r\nthi\r\n2\r\nrd\r\n0\r\n\r\n" + post("/echo", "fourth", "Connection: close\r\n"));
  const std::string rest = raw.hear_all();
  EXPECT_LT(rest.find("\r\n\r\nsecond"), rest.find("\r\n\r\nthird"));
  EXPECT_LT(rest.find("\r\n\r\nthird"), rest.find("\r\n\r\nfourth"));
  EXPECT_TRUE(rest.ends_with("fourth"));
}

TEST_F(ServerTest, StreamsInChunks) {
  start();
  RawClient raw(server_->port());
  raw.say("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string answer = raw.hear("0\r\n\r\n");
  EXPECT_NE(answer.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n10\r\nsixteen bytes...\r\n0\r\n\r\n")) << answer;
  // HTTP/1.0 knows no chunks: the end is the connection's.
  RawClient old(server_->port());
  old.say("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.hear_all().ends_with("\r\n\r\nonetwosixteen bytes..."));
}

TEST_F(ServerTest, HeadHasNoBody) {
  start();
  RawClient raw(server_->port());
  raw.say("HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
  const std::string answer = raw.hear_all();
  EXPECT_NE(answer.find("Content-Length: 3\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, RefusesBeforeTheBody) {
  start();
  for (const auto& [request, status] : std::vector<std::pair<std::string, std::string>>{
           {post("/secret", "1"), "401"},
           {"POST /secret HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n", "401"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "413"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x'),
            "413"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", "400"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "400"},
           {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: tea\r\n\r\n", "417"},
           {"GET /% HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
           {"\x16\x03\x01\x02\r\n\r\n", "400"},
           {"GET /" + std::string(20000, 'a'), "414"},
           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(20000, 'a'), "431"},
       }) {
    RawClient raw(server_->port());
    raw.say(request);
    const std::string answer = raw.hear("\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status)) << request.substr(0, 100) << " -> " << answer;
    // Where the next request would begin is not certain: what follows is not read as one.
    raw.say(post("/echo", "smuggled"));
    const std::string rest = raw.hear_all();
    EXPECT_NE(rest.find("Connection: close\r\n"), std::string::npos) << request.substr(0, 100) << " -> " << rest;
    EXPECT_EQ(rest.find("smuggled"), std::string::npos) << request.substr(0, 100) << " -> " << rest;
  }
}

TEST_F(ServerTest, SaysContinue) {
  start();
  RawClient raw(server_->port());
  raw.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(raw.hear("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.say("abc");
  EXPECT_TRUE(raw.hear("abc").starts_with("HTTP/1.1 200 OK"));
}

TEST_F(ServerTest, AnswersForHandlersThatFail) {
  start();
  for (const char* path : {"/throw", "/drop"}) {
    RawClient raw(server_->port());
    raw.say(post(path, "", "Connection: close\r\n"));
    EXPECT_TRUE(raw.hear_all().starts_with("HTTP/1.1 500 ")) << path;
  }
}

// S-32.
TEST_F(ServerTest, HearsWhenAClientLeaves) {
  start();
  for (const char* path : {"/endless", "/wait"}) {
    is_gone_ = false;
    auto raw = std::make_unique<RawClient>(server_->port());
    raw->say(post(path, ""));
    if (path == std::string_view("/endless")) raw->hear("begin");
    raw.reset();
    EXPECT_TRUE(comes_true(is_gone_)) << path;
    EXPECT_EQ(last_status_, 499);
  }
  EXPECT_TRUE(closes_all());
}

// S-33: threads run short.
TEST_F(ServerTest, QuickAnswersNeedNoHandlerThread) {
  start();
  std::vector<std::unique_ptr<RawClient>> blocked;
  for (int i = 0; i < 6; ++i) {
    blocked.push_back(std::make_unique<RawClient>(server_->port()));
    blocked.back()->say(post("/block", "", "Connection: close\r\n"));
  }
  RawClient raw(server_->port());
  raw.say(post("/quick", ""));
  EXPECT_TRUE(raw.hear("quick").starts_with("HTTP/1.1 200 "));
  unblock_.set_value();
  for (const auto& client : blocked) EXPECT_TRUE(client->hear_all().ends_with("unblocked"));
}

// F-09: a client that has sent all it will send, and still reads.
TEST_F(ServerTest, ARequestOfAHalfClosedConnectionIsNotAnswered) {
  start();
  RawClient raw(server_->port());
  raw.say(post("/wait", ""));
  raw.shut();
  EXPECT_TRUE(comes_true(is_gone_));
  EXPECT_TRUE(closes_all());
}

// F-09: a connection that is reset, at each point of a request.
TEST_F(ServerTest, ResetsAtEveryPointAreForgotten) {
  HttpLimits limits;
  limits.head_time = limits.body_pause = limits.idle = 60s;  // no deadline closes them instead
  start(limits);
  const std::string request = post("/echo", "0123456789");
  for (std::size_t size = 0; size <= request.size(); ++size) {
    RawClient raw(server_->port());
    raw.say(request.substr(0, size));
    raw.reset();
  }
  EXPECT_TRUE(closes_all());
  EXPECT_EQ(server_->open_exchanges(), 0U);
  RawClient raw(server_->port());
  raw.say(post("/echo", "still here"));
  EXPECT_TRUE(raw.hear("still here").starts_with("HTTP/1.1 200 "));
}

// S-31.
TEST_F(ServerTest, DropsSlowClients) {
  HttpLimits limits;
  limits.head_time = limits.body_pause = limits.idle = limits.write_stall = 400ms;
  limits.max_unsent_bytes = std::size_t{1} << 30;
  start(limits);
  RawClient silent(server_->port());
  RawClient slow_head(server_->port());
  slow_head.say("GET / HTT");
  RawClient slow_body(server_->port());
  slow_body.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab");
  // A byte at a time, each within the pause that is allowed: the rate is too low all the same.
  RawClient dripping(server_->port());
  std::thread drops([&] {
    dripping.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n");
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(100ms);
      dripping.say("d");
    }
  });
  RawClient deaf(server_->port());
  deaf.say(post("/endless", ""));
  deaf.hear("begin");
  {
    const std::scoped_lock lock(mutex_);
    for (int i = 0; i < 256; ++i) held_.back()->write(std::string(std::size_t{1} << 16, 'x'));
  }
  EXPECT_TRUE(slow_head.hear_all().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(slow_body.hear_all().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(dripping.hear_all().starts_with("HTTP/1.1 408 "));
  drops.join();
  EXPECT_EQ(silent.hear_all(), "");
  EXPECT_TRUE(comes_true(is_gone_));
  EXPECT_TRUE(closes_all());
}

TEST_F(ServerTest, GivesUpOnReadersThatFallBehind) {
  HttpLimits limits;
  limits.max_unsent_bytes = std::size_t{1} << 20;
  start(limits);
  RawClient deaf(server_->port());
  deaf.say(post("/endless", ""));
  deaf.hear("begin");
  const std::scoped_lock lock(mutex_);
  for (int i = 0; i < 1024 && !is_gone_; ++i) held_.back()->write(std::string(std::size_t{1} << 16, 'x'));
  EXPECT_TRUE(comes_true(is_gone_));
}

TEST_F(ServerTest, PingsSilentStreams) {
  HttpLimits limits;
  limits.ping = 100ms;
  start(limits);
  RawClient raw(server_->port());
  raw.say(post("/endless", ""));
  EXPECT_TRUE(raw.hear(": ping\n\n").ends_with("begin\r\n8\r\n: ping\n\n"));
}

TEST_F(ServerTest, BoundsAllBodiesTogether) {
  HttpLimits limits;
  limits.max_bodies_bytes = 1500;
  start(limits);
  RawClient first(server_->port());
  first.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + std::string(900, 'x'));
  std::this_thread::sleep_for(50ms);
  RawClient second(server_->port());
  second.say(post("/echo", std::string(700, 'y')));
  EXPECT_TRUE(second.hear_all().starts_with("HTTP/1.1 503 "));
  first.say(std::string(100, 'x'));
  EXPECT_TRUE(first.hear("xxx").starts_with("HTTP/1.1 200 "));
  RawClient third(server_->port());
  third.say(post("/echo", std::string(1000, 'z'), "Connection: close\r\n"));
  EXPECT_TRUE(third.hear_all().starts_with("HTTP/1.1 200 "));
}

TEST_F(ServerTest, WaitsForRoomForConnections) {
  HttpLimits limits;
  limits.max_connections = 2;
  start(limits);
  auto first = std::make_unique<RawClient>(server_->port());
  const RawClient second(server_->port());
  RawClient third(server_->port());
  third.say(post("/echo", "third"));
  std::this_thread::sleep_for(50ms);
  EXPECT_LE(server_->open_connections(), 2U);
  first.reset();
  EXPECT_TRUE(third.hear("\r\n\r\nthird").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, DrainFinishesWhatRuns) {
  start();
  RawClient idle(server_->port());
  RawClient busy(server_->port());
  busy.say(post("/endless", ""));
  busy.hear("begin");
  server_->drain();
  EXPECT_EQ(idle.hear_all(), "");
  EXPECT_EQ(server_->open_exchanges(), 1U);
  RawClient late(server_->port());
  late.say(post("/echo", "late"));
  const std::string answer = late.hear_all();
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  {
    const std::scoped_lock lock(mutex_);
    held_.back()->write("last");
    held_.back()->end_stream();
  }
  EXPECT_TRUE(busy.hear_all().ends_with("last\r\n0\r\n\r\n"));
  EXPECT_TRUE(closes_all());
  EXPECT_EQ(server_->open_exchanges(), 0U);
}

TEST_F(ServerTest, StopsWithRequestsUnderWay) {
  start();
  RawClient busy(server_->port());
  busy.say(post("/endless", ""));
  busy.hear("begin");
  server_.reset();
  busy.hear_all();
  EXPECT_TRUE(is_gone_);
  const std::scoped_lock lock(mutex_);
  held_.clear();
}

TEST_F(ServerTest, SaysWhatItCannotListenAt) {
  HttpOptions options;
  options.addresses = {"nowhere"};
  EXPECT_THROW(HttpServer(options, {}), Error);
  options.addresses = {"127.0.0.1"};
  options.tls_certificate_file = "/nonexistent.pem";
  EXPECT_THROW(HttpServer(options, {}), Error);
}

}  // namespace
}  // namespace carat
