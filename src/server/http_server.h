// HttpServer: sockets, HTTP/1.1 and its limits. Knows nothing of models or of what paths mean.
//
// One thread owns all sockets; handlers run on a few others, so that a slow one (a template, a picture to decode from
// base64) never keeps the network waiting. A handler answers through its Exchange, at once or later, from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/http_framing.h"
#include "server/http_message.h"

namespace carat {

struct HttpLimits {
  HeadLimits head;
  std::size_t max_connections = 4096;                     // more wait until one closes
  std::size_t max_bodies_bytes = std::size_t{512} << 20;  // of all requests together; more are told 503
  // Of what a client has not read yet; one that falls further behind is dropped.
  std::size_t max_unsent_bytes = std::size_t{8} << 20;
  std::chrono::milliseconds head_time{10'000};   // from the first byte of a request to the end of its head
  std::chrono::milliseconds body_pause{15'000};  // between two pieces of a body
  std::size_t min_body_rate = 1024;              // bytes a second, once body_pause has passed
  std::chrono::milliseconds write_stall{30'000};
  std::chrono::milliseconds idle{60'000};  // between two requests of a connection
  std::chrono::milliseconds ping{15'000};  // silence of an event stream after which a comment is sent
};

struct HttpOptions {
  std::vector<std::string> addresses = {"127.0.0.1"};
  std::uint16_t port = 0;                 // 0: any that is free
  std::string tls_certificate_file = {};  // PEM, the chain; with tls_key_file: HTTPS
  std::string tls_key_file = {};
  std::size_t handler_threads = 4;
  HttpLimits limits = {};
};

// One request and its answer: either respond(), or begin_stream(), write()..., end_stream(). All functions may be
// called from any thread. An exchange that is dropped unanswered is answered with 500.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const ServerRequest& request() const = 0;

  virtual void respond(ServerResponse response) = 0;

  // The head of an answer whose body comes in pieces; head.body is the first piece, if not empty.
  virtual void begin_stream(ServerResponse head) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end_stream() = 0;

  // Called once, on the network's thread, when the client leaves before the answer's end; at once if it has left. It
  // must be quick.
  virtual void on_gone(std::function<void()> callback) = 0;
};

// What is decided when a request's head has been read, before its body is.
struct Admission {
  std::optional<ServerResponse> refusal = {};  // the answer; the body is not read
  std::size_t max_body_bytes = 0;
  bool is_quick = false;  // its handler takes no time: called on the network's thread, however busy the others are
};

struct HttpCallbacks {
  std::function<Admission(const ServerRequest& head)> admit;  // on the network's thread: must be quick
  std::function<void(std::shared_ptr<Exchange>)> handle;      // on a handler thread, or quick; may throw: 500
  // An answer for what is wrong with the request as HTTP; the request may be half empty.
  std::function<ServerResponse(const ServerRequest& head, int status, const std::string& message)> refuse;
  // After each answer, for logs and metrics, on the network's thread. status 499: the client left before it.
  std::function<void(const ServerRequest& request, int status, std::size_t sent_bytes, double seconds)> finished;
};

class HttpServer {
 public:
  // Binds and listens, and starts to serve. Throws Error(kBadInput) naming an address or file that can't be used,
  // Error(kOutOfMemory) where there are no threads or descriptors for it.
  HttpServer(HttpOptions options, HttpCallbacks callbacks);
  // Closes everything at once and waits for handlers that run.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;

  // Reads the certificate and its key again; connections from now on get them, those there are go on as they are.
  // Without HTTPS nothing happens. Throws Error(kBadInput) for files that can't be used: then those it has stay.
  void reload_certificate();

  // Connections close once their present answer is complete; new ones are still taken, so that they can be told 503.
  void drain();

  // Answers not complete yet, and connections.
  std::size_t open_exchanges() const;
  std::size_t open_connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace carat
