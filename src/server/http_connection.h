// HttpConnection: one client's socket: reads requests, hands them on, writes answers. Only http_server.cpp includes
// this: Boost.Beast takes long to compile.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "server/http_server.h"

namespace carat {

using Clock = std::chrono::steady_clock;

class HttpConnection;

// What connections share. Lives on the network's thread, except for the pool.
struct HttpShared {
  const HttpLimits& limits;
  const HttpCallbacks& callbacks;
  std::shared_ptr<boost::asio::io_context> network;  // exchanges keep it: they may outlive the server
  boost::asio::thread_pool& handlers;
  bool is_draining = false;
  std::size_t bodies_bytes = 0;                 // of all requests that are read or answered
  std::function<void(HttpConnection&)> closed;  // the connection may be forgotten
  std::function<void(std::ptrdiff_t)> count_exchanges;
};

// All functions on the network's thread.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(HttpShared& shared, boost::asio::ip::tcp::socket socket, boost::asio::ssl::context* tls);

  void start();
  // Called now and then: closes the connection when a deadline has passed, sends pings.
  void check_deadlines(Clock::time_point now);
  // Closes it if no request is under way.
  void close_if_idle();
  void close();

  // Of the exchange with that number; nothing happens when it is no longer the present one.
  void respond(std::size_t exchange, ServerResponse response);
  void begin_stream(std::size_t exchange, ServerResponse head);
  void write(std::size_t exchange, std::string piece);
  void end_stream(std::size_t exchange);
  void on_gone(std::size_t exchange, std::function<void()> callback);
  void abandon(std::size_t exchange);
  // The same, at the next look at deadlines, and from any thread: where there is no memory for a message.
  void abandon_later(std::size_t exchange) noexcept { abandoned_ = exchange; }

  // Runs it; where it throws, for want of memory, this connection is closed, and the others go on.
  template <typename Work>
  void guarded(const Work& work) {
    try {
      work();
    } catch (const std::exception&) {
      close();
    }
  }

 private:
  enum class State {
    kHandshake,   // TLS only
    kIdle,        // nothing of a request has come
    kHead,        // something of its head
    kBody,        // its head
    kResponding,  // all of it, or as much as is needed to refuse it
    kLingering,   // the last answer is written; what the client still sends is thrown away
    kClosed,
  };
  using Socket = boost::asio::ip::tcp::socket;
  using TlsStream = boost::asio::ssl::stream<Socket>;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  Socket& socket();
  void read_more();
  void on_read(const boost::system::error_code& error, std::size_t size);
  void process();
  bool read_head();  // false: more bytes are needed, or the request was refused
  bool read_body();
  void count_body(std::size_t size);  // of the request at hand, as far as it has come
  bool parse();                       // feeds in_ to the parser; false after a refusal
  void refuse(int status, const std::string& message);
  void dispatch();
  static void handle(const HttpCallbacks& callbacks, const std::shared_ptr<Exchange>& exchange);
  void begin_exchange();
  void report(int status);  // to callbacks.finished

  std::string head_text(const ServerResponse& response, std::optional<std::size_t> length, bool is_chunked);
  void send(std::string bytes);
  void write_next();
  void on_written(const boost::system::error_code& error, std::size_t size);
  void finish_exchange();
  void linger();

  HttpShared& shared_;
  std::variant<Socket, TlsStream> stream_;
  std::string peer_;
  State state_;
  boost::beast::flat_buffer in_;
  bool is_reading_ = false;
  std::optional<Parser> parser_;
  // Nobody needs them, and programs disagree on where they end.
  std::function<void(std::uint64_t, boost::beast::string_view, boost::system::error_code&)> refuse_chunk_extensions_ =
      [](std::uint64_t, boost::beast::string_view extensions, boost::system::error_code& error) {
        if (!extensions.empty()) error = boost::beast::http::error::bad_chunk_extension;
      };
  ServerRequest request_;
  std::size_t max_body_bytes_ = 0;
  bool is_quick_ = false;
  std::size_t body_bytes_ = 0;   // counted in shared_.bodies_bytes
  Clock::time_point began_;      // when the state was entered, or the request's first byte came
  Clock::time_point last_read_;  // when bytes came last

  // The exchange at hand.
  std::size_t exchange_ = 0;  // raised with each
  Clock::time_point exchange_began_;
  bool keeps_alive_ = false;
  bool is_head_request_ = false;
  bool is_old_ = false;        // HTTP/1.0: no chunks
  bool is_streaming_ = false;  // begin_stream was called
  bool is_chunked_ = false;
  bool is_event_stream_ = false;
  bool is_answered_ = false;  // all of the answer is in out_
  int status_ = 0;
  std::size_t sent_bytes_ = 0;
  std::function<void()> gone_;
  std::atomic<std::size_t> abandoned_{0};  // the number of an exchange; 0: none

  std::deque<std::string> out_;
  std::size_t unsent_bytes_ = 0;
  bool is_writing_ = false;
  Clock::time_point last_write_;  // when the write at hand began, or the last one ended
};

}  // namespace carat
