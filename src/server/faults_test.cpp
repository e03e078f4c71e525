// F-01: whichever allocation fails, one answer at most ends with an error, and the next one is made.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <future>

#include "base/failing_allocations.h"
#include "engine/script.h"
#include "server/service.h"

namespace carat {
namespace {

constexpr std::string_view kScript = R"({"context": 1024, "answers": [
  {"if_text": "weather", "output":
   "<|channel>thought\nI must look.<channel|>Well.<|tool_call>call:look{city:<|\"|>Oslo<|\"|>}<tool_call|>"},
  {"output": "Hello there! How can I help you today?"}]})";

// Every so manieth allocation; CARAT_EVERY_ALLOCATION=1 looks at each.
std::size_t stride(std::size_t usual) {
  return std::getenv("CARAT_EVERY_ALLOCATION") != nullptr ? 1 : usual;
}

std::shared_ptr<Answerer> scripted() {
  return make_scripted_answerer(parse_json(kScript, "script", ErrorKind::kBadFile), "script");
}

Request question(const std::string& text, std::size_t choices) {
  Request request;
  Conversation conversation;
  conversation.messages.push_back({Role::kUser, {TextPart{text}}, {}, {}, {}, {}});
  request.prompt = std::move(conversation);
  request.choices = choices;
  request.logprobs = 2;
  return request;
}

// Everything here is the test's own, and does not fail.
struct Outcome {
  std::promise<void> over;
  WholeAnswer answer;
  int done = 0;
};

void submit(Answerer& engine, Request request, Outcome& outcome) {
  engine.submit(std::move(request), [&outcome](Event&& event) {
    const ExemptFromFailing exempt;
    if (!outcome.answer.add(std::move(event))) return;
    if (++outcome.done == 1) outcome.over.set_value();
  });
}

bool has_failed(const Outcome& outcome) {
  return outcome.answer.choices.at(0).finished.reason == FinishReason::kError;
}

TEST(AllocationFaults, TheEnginesThreadLosesOneAnswerAtMost) {
  const ExemptFromFailing exempt;
  const auto engine = scripted();
  std::size_t errors = 0;
  std::size_t n = 1;
  for (bool has_hit = true; has_hit; n += stride(3)) {
    Outcome rich, plain;
    fail_allocation(n);
    submit(*engine, question("What is the weather?", 2), rich);
    submit(*engine, question("Hi", 1), plain);
    ASSERT_EQ(rich.over.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready) << n;
    ASSERT_EQ(plain.over.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready) << n;
    has_hit = stop_failing_allocations();
    EXPECT_LE(has_failed(rich) + has_failed(plain), 1) << n;
    for (const Outcome* outcome : {&rich, &plain}) {
      if (has_failed(*outcome)) {
        ++errors;
        EXPECT_EQ(outcome->answer.choices[0].finished.error_kind, ErrorKind::kOutOfMemory) << n;
      }
    }
    if (!has_failed(plain)) {
      EXPECT_EQ(plain.answer.choices[0].content, "Hello there! How can I help you today?") << n;
    }
    for (const WholeAnswer::Choice& choice : rich.answer.choices) {
      if (choice.finished.reason == FinishReason::kError) continue;
      EXPECT_EQ(choice.content, "Well.") << n;
      EXPECT_EQ(choice.tool_calls.size(), 1U) << n;
    }
  }
  EXPECT_GT(errors, 20U);
  EXPECT_GT(n, 200U);
}

// The submitting thread: whatever fails there is thrown, and nothing of the request is left in the engine.
TEST(AllocationFaults, ASubmitThatFailsLeavesNothingBehind) {
  const auto engine = scripted();
  std::size_t thrown = 0;
  bool has_hit = true;
  for (std::size_t n = 1; has_hit; n += stride(7)) {
    Outcome outcome;
    Request request;
    {
      const ExemptFromFailing exempt;
      request = question("What is the weather?", 1);
    }
    bool was_taken = true;
    fail_allocation(n);
    try {
      submit(*engine, std::move(request), outcome);
    } catch (const std::bad_alloc&) {
      was_taken = false;
    } catch (const Error& error) {
      was_taken = false;
      EXPECT_EQ(error.kind(), ErrorKind::kOutOfMemory) << n;
    }
    if (was_taken) {
      ASSERT_EQ(outcome.over.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready) << n;
    }
    has_hit = stop_failing_allocations();
    thrown += was_taken ? 0 : 1;
  }
  EXPECT_GT(thrown, 20U);
  const ExemptFromFailing exempt;
  EXPECT_EQ(answer_whole(*engine, question("Hi", 1)).choices[0].content, "Hello there! How can I help you today?");
  EXPECT_EQ(engine->status().queued, 0U);
}

// Sends a request and reads until the connection's end, which is asked for.
std::string ask(std::uint16_t port, std::string_view path, std::string_view body) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const timeval patience{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string text =
        str("POST ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ", body.size(),
            "\r\n\r\n", body);
    ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    std::array<char, 4096> piece;
    ssize_t size = 0;
    while ((size = ::recv(fd, piece.data(), piece.size(), 0)) > 0) {
      answer.append(piece.data(), static_cast<std::size_t>(size));
    }
    EXPECT_TRUE(size == 0 || errno == ECONNRESET) << "nothing came for 20 s";
  }
  ::close(fd);
  return answer;
}

TEST(AllocationFaults, TheServerAnswersTheNextRequest) {
  const ExemptFromFailing exempt;
  const ServedModels catalogue({{"scripted", "script"}}, {}, false, nullptr);
  ModelHost host([](const std::string&) { return scripted(); }, {});
  Service service(catalogue, host, {});
  host.acquire("scripted");
  service.set_ready();
  const HttpServer server({}, service.callbacks());

  constexpr std::string_view kStreamed =
      R"({"model": "scripted", "stream": true, "messages": [{"role": "user", "content": "weather"}]})";
  constexpr std::string_view kWhole = R"({"model": "scripted", "messages": [{"role": "user", "content": "Hi"}]})";
  constexpr std::string_view kPath = "/v1/chat/completions";
  std::size_t refused = 0;
  std::size_t n = 1;
  for (bool has_hit = true; has_hit; n += stride(5)) {
    fail_allocation(n);
    const std::string streamed = ask(server.port(), kPath, kStreamed);
    has_hit = stop_failing_allocations();
    // All of it, or an error, or an end that is none: never a stream that looks whole and is not.
    const bool is_whole = streamed.find("data: [DONE]") != std::string::npos;
    const bool says_so = streamed.find("\"error\"") != std::string::npos;
    if (is_whole && !says_so) {
      EXPECT_NE(streamed.find("Oslo"), std::string::npos) << n << streamed;
    }
    refused += is_whole && !says_so ? 0 : 1;
    const std::string next = ask(server.port(), kPath, kWhole);
    ASSERT_TRUE(next.starts_with("HTTP/1.1 200 ")) << n << next;
    ASSERT_NE(next.find("How can I help you today?"), std::string::npos) << n;
  }
  EXPECT_GT(refused, 10U);
  EXPECT_GT(n, 500U);
}

// F-01, of a load: an error, or the model.
TEST(AllocationFaults, AModelIsLoadedOrAnErrorIsThrown) {
  const auto path = std::filesystem::path(CARAT_TEST_DATA) / "golden" / "text-e2b" / "model";
  std::size_t errors = 0;
  bool has_hit = true;
  for (std::size_t n = 1; has_hit; n += stride(61)) {
    fail_allocation(n);
    try {
      const auto model = Model::load(path);
      EXPECT_NE(model, nullptr);
    } catch (const std::bad_alloc&) {
      ++errors;
    } catch (const Error& error) {
      ++errors;
      EXPECT_EQ(error.kind(), ErrorKind::kOutOfMemory) << n << error.what();
    }
    has_hit = stop_failing_allocations();
  }
  EXPECT_GT(errors, 5U);
}

}  // namespace
}  // namespace carat
