#include "server/service.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace carat {
namespace {

// A model that says how it is, and answers nothing.
class StillAnswerer final : public Answerer {
 public:
  explicit StillAnswerer(const EngineStatus& status) : status_(status) {}
  AnswerHandle submit(Request, Listener) override { return {}; }
  RenderedPrompt render(const Request&) const override { return {}; }
  EngineStatus status() const override { return status_; }
  const ModelInfo& info() const override { return info_; }
  const Tokenizer& tokenizer() const override { throw Error(ErrorKind::kInternal, "nobody asks"); }
  void drain() override {}
  void stop() override {}

 private:
  const EngineStatus& status_;
  ModelInfo info_;
};

class TestExchange final : public Exchange {
 public:
  explicit TestExchange(std::string path) { request_.method = "GET", request_.path = std::move(path); }
  const ServerRequest& request() const override { return request_; }
  void respond(ServerResponse response) override { answer = std::move(response); }
  void begin_stream(ServerResponse) override {}
  void write(std::string) override {}
  void end_stream() override {}
  void on_gone(std::function<void()>) override {}

  ServerResponse answer;

 private:
  ServerRequest request_;
};

// S-33, F-19: health follows the loop that computes, not the threads that answer HTTP.
TEST(Service, IsNotReadyWhileAStepIsStuck) {
  EngineStatus status;
  const ServedModels catalogue({{"still", "nowhere"}}, {}, false, nullptr);
  ModelHost host([&](const std::string&) { return std::make_shared<StillAnswerer>(status); }, {});
  ServiceOptions options;
  options.stuck = std::chrono::seconds(10);
  Service service(catalogue, host, std::move(options));
  const HttpCallbacks callbacks = service.callbacks();
  const auto ask = [&](const char* path) {
    const auto exchange = std::make_shared<TestExchange>(path);
    EXPECT_TRUE(callbacks.admit(exchange->request()).is_quick) << path;
    callbacks.handle(exchange);
    return exchange->answer.status;
  };
  EXPECT_EQ(ask("/readyz"), 503);
  EXPECT_EQ(ask("/livez"), 200);
  host.acquire("still");
  service.set_ready();
  EXPECT_EQ(ask("/readyz"), 200);
  EXPECT_TRUE(service.is_healthy());

  status.running = 1;
  status.seconds_since_step = 10.5;
  EXPECT_EQ(ask("/readyz"), 503);
  EXPECT_EQ(ask("/livez"), 200);
  EXPECT_FALSE(service.is_healthy());  // and so systemd gets no sign of life
  status.seconds_since_step = 0.1;
  EXPECT_EQ(ask("/health"), 200);

  status.is_healthy = false;  // the model's file has changed
  EXPECT_EQ(ask("/health"), 503);
}

}  // namespace
}  // namespace carat
