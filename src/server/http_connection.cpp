#include "server/http_connection.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <ctime>
#include <exception>
#include <utility>

#include "base/error.h"

namespace carat {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;

constexpr std::size_t kReadBytes = 16384;
// How far a client may run ahead with further requests while one is being answered.
constexpr std::size_t kMaxReadAhead = 65536;
constexpr std::chrono::seconds kLingerTime{2};
constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, size};
}

// Fit to be sent back in a header and to stand in a log.
bool is_usable_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string hexadecimal(std::size_t number) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[number % 16]);
    number /= 16;
  } while (number > 0);
  return digits;
}

// What a handler holds of a connection.
class ConnectionExchange : public Exchange {
 public:
  ConnectionExchange(std::shared_ptr<asio::io_context> network, std::shared_ptr<HttpConnection> connection,
                     std::size_t number, ServerRequest request)
      : network_(std::move(network)),
        connection_(std::move(connection)),
        number_(number),
        request_(std::move(request)) {}
  ~ConnectionExchange() override {
    try {
      post([](HttpConnection& c, std::size_t n) { c.abandon(n); });
    } catch (const std::exception&) {  // no memory for the message
      connection_->abandon_later(number_);
    }
  }

  const ServerRequest& request() const override { return request_; }
  void respond(ServerResponse response) override {
    post([response = std::move(response)](HttpConnection& c, std::size_t n) mutable {
      c.respond(n, std::move(response));
    });
  }
  void begin_stream(ServerResponse head) override {
    post([head = std::move(head)](HttpConnection& c, std::size_t n) mutable { c.begin_stream(n, std::move(head)); });
  }
  void write(std::string piece) override {
    post([piece = std::move(piece)](HttpConnection& c, std::size_t n) mutable { c.write(n, std::move(piece)); });
  }
  void end_stream() override {
    post([](HttpConnection& c, std::size_t n) { c.end_stream(n); });
  }
  void on_gone(std::function<void()> callback) override {
    post([callback = std::move(callback)](HttpConnection& c, std::size_t n) mutable {
      c.on_gone(n, std::move(callback));
    });
  }

 private:
  template <typename Call>
  void post(Call call) {
    asio::post(*network_, [connection = connection_, number = number_, call = std::move(call)]() mutable {
      connection->guarded([&] { call(*connection, number); });
    });
  }

  std::shared_ptr<asio::io_context> network_;  // before the connection, whose socket needs it to the end
  std::shared_ptr<HttpConnection> connection_;
  std::size_t number_;
  ServerRequest request_;
};

}  // namespace

HttpConnection::HttpConnection(HttpShared& shared, Socket socket, asio::ssl::context* tls)
    : shared_(shared),
      stream_(tls == nullptr ? std::variant<Socket, TlsStream>(std::move(socket))
                             : std::variant<Socket, TlsStream>(std::in_place_type<TlsStream>, std::move(socket), *tls)),
      state_(tls == nullptr ? State::kIdle : State::kHandshake) {}

HttpConnection::Socket& HttpConnection::socket() {
  if (auto* tls = std::get_if<TlsStream>(&stream_)) return tls->next_layer();
  return std::get<Socket>(stream_);
}

void HttpConnection::start() {
  error_code ignored;
  const auto endpoint = socket().remote_endpoint(ignored);
  peer_ = ignored ? "?" : endpoint.address().to_string();
  socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  began_ = last_read_ = last_write_ = Clock::now();
  if (auto* tls = std::get_if<TlsStream>(&stream_)) {
    tls->async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](const error_code& error) {
      if (self->state_ == State::kClosed) return;
      if (error) return self->close();
      self->state_ = State::kIdle;
      self->began_ = Clock::now();
      self->guarded([&] { self->read_more(); });
    });
  } else {
    read_more();
  }
}

// ---- Reading
// ---------------------------------------------------------------------------------------------------------

// One read is under way nearly always, also while an answer is made: that is how a client's leaving shows.
void HttpConnection::read_more() {
  if (is_reading_ || state_ == State::kClosed) return;
  if (state_ == State::kResponding && in_.size() >= kMaxReadAhead) return;
  is_reading_ = true;
  auto handler = [self = shared_from_this()](const error_code& error, std::size_t size) {
    self->guarded([&] { self->on_read(error, size); });
  };
  std::visit([&](auto& stream) { stream.async_read_some(in_.prepare(kReadBytes), std::move(handler)); }, stream_);
}

void HttpConnection::on_read(const error_code& error, std::size_t size) {
  is_reading_ = false;
  if (state_ == State::kClosed) return;
  if (error) return close();
  last_read_ = Clock::now();
  if (state_ == State::kLingering) {
    in_.consume(in_.size());
  } else {
    in_.commit(size);
    process();
  }
  read_more();
}

void HttpConnection::process() {
  while (true) {
    if (state_ == State::kIdle && in_.size() > 0) {
      state_ = State::kHead;
      began_ = last_read_;
    }
    if (state_ == State::kHead) {
      if (!read_head()) return;
    } else if (state_ == State::kBody) {
      if (!read_body()) return;
    } else {
      return;
    }
  }
}

bool HttpConnection::read_head() {
  const auto data = in_.cdata();
  std::string_view bytes(static_cast<const char*>(data.data()), data.size());
  if (bytes.starts_with("\r\n")) {  // RFC 9112, 2.2: an empty line before a request is passed over
    in_.consume(2);
    if (in_.size() == 0) state_ = State::kIdle;
    return in_.size() > 0;
  }
  const std::size_t end = bytes.find(kHeadEnd);
  if (end == std::string_view::npos) {
    if (bytes.size() <= shared_.limits.head.max_bytes) return false;
    const bool is_long_target = bytes.find('\n') == std::string_view::npos;
    refuse(is_long_target ? 414 : 431,
           is_long_target ? "the request's target is too long." : "the request's head is too long.");
    return false;
  }
  request_ = {};
  request_.peer = peer_;
  if (const auto problem = check_head(bytes.substr(0, end + kHeadEnd.size()), shared_.limits.head)) {
    refuse(problem->status, problem->message);
    return false;
  }
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(shared_.limits.head.max_bytes));
  parser_->body_limit(boost::none);  // counted here: the limit depends on the path
  if (!parse()) return false;

  auto& message = parser_->get();
  request_.method = std::string(message.method_string());
  const std::string_view target = {message.target().data(), message.target().size()};
  const std::size_t question = std::min(target.find('?'), target.size());
  const auto path = percent_decode(target.substr(0, question));
  request_.query = std::string(target.substr(std::min(question + 1, target.size())));
  for (const auto& field : message) {
    request_.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  const std::string_view id = request_.header("x-request-id");
  request_.id = is_usable_id(id) ? std::string(id) : random_id("req_");
  is_old_ = message.version() < 11;
  keeps_alive_ = message.keep_alive();
  if (!path) {
    refuse(400, "the request's target is not properly percent-encoded.");
    return false;
  }
  request_.path = *path;

  Admission admission = shared_.callbacks.admit(request_);
  if (admission.refusal) {
    const bool has_body = !parser_->is_done();
    begin_exchange();
    if (has_body) keeps_alive_ = false;
    respond(exchange_, std::move(*admission.refusal));
    return false;
  }
  max_body_bytes_ = admission.max_body_bytes;
  is_quick_ = admission.is_quick;
  const auto length = parser_->content_length();
  if (length && *length > max_body_bytes_) {
    refuse(413, str("the request's body has ", *length, " bytes, the limit is ", max_body_bytes_, "."));
    return false;
  }
  const std::string_view expectation = request_.header("expect");
  if (!expectation.empty() && !equals_ignoring_case(expectation, "100-continue")) {
    refuse(417, "Expect can only be 100-continue.");
    return false;
  }
  if (!expectation.empty() && !is_old_ && !parser_->is_done() && in_.size() == 0) {
    send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  parser_->on_chunk_header(refuse_chunk_extensions_);
  state_ = State::kBody;
  began_ = Clock::now();
  return true;
}

bool HttpConnection::read_body() {
  if (!parser_->is_done() && in_.size() > 0 && !parse()) return false;
  count_body(parser_->get().body().size());
  if (shared_.bodies_bytes > shared_.limits.max_bodies_bytes) {
    refuse(503, "too many large requests at once.");
    return false;
  }
  if (parser_->get().body().size() > max_body_bytes_) {
    refuse(413, str("the request's body has more than ", max_body_bytes_, " bytes."));
    return false;
  }
  if (!parser_->is_done()) {
    if (in_.size() > kMaxReadAhead) refuse(400, "a chunk of the request's body has no proper head.");
    return false;
  }
  request_.body = std::move(parser_->get().body());
  parser_.reset();
  dispatch();
  return false;
}

void HttpConnection::count_body(std::size_t size) {
  shared_.bodies_bytes += size - body_bytes_;  // wraps as it should where it shrinks
  body_bytes_ = size;
}

bool HttpConnection::parse() {
  error_code error;
  parser_->eager(state_ == State::kBody);
  while (in_.size() > 0 && !parser_->is_done()) {
    const std::size_t used = parser_->put(in_.cdata(), error);
    in_.consume(used);
    if (error || used == 0) break;
    if (state_ == State::kHead && parser_->is_header_done()) break;
  }
  if (!error || error == beast::http::error::need_more) return true;
  refuse(400, "the request is not proper HTTP/1.1.");
  return false;
}

void HttpConnection::refuse(int status, const std::string& message) {
  if (request_.id.empty()) request_.id = random_id("req_");
  begin_exchange();
  keeps_alive_ = false;  // where the next request would begin is not certain
  respond(exchange_, shared_.callbacks.refuse(request_, status, message));
}

void HttpConnection::begin_exchange() {
  state_ = State::kResponding;
  ++exchange_;
  exchange_began_ = Clock::now();
  is_head_request_ = request_.method == "HEAD";
  is_streaming_ = is_chunked_ = is_event_stream_ = is_answered_ = false;
  status_ = 0;
  sent_bytes_ = 0;
  gone_ = nullptr;
  shared_.count_exchanges(1);
}

void HttpConnection::dispatch() {
  begin_exchange();
  // The log wants to know of the request after the exchange has it.
  ServerRequest request = std::move(request_);
  request_ = {};
  request_.method = request.method;
  request_.path = request.path;
  request_.id = request.id;
  request_.peer = request.peer;
  auto exchange =
      std::make_shared<ConnectionExchange>(shared_.network, shared_from_this(), exchange_, std::move(request));
  if (is_quick_) return handle(shared_.callbacks, exchange);
  asio::post(shared_.handlers, [exchange = std::move(exchange), &callbacks = shared_.callbacks]() mutable {
    try {
      handle(callbacks, exchange);
    } catch (const std::exception&) {
      exchange.reset();  // not even words for it: the client is told 500, or cut off
    }
  });
}

void HttpConnection::handle(const HttpCallbacks& callbacks, const std::shared_ptr<Exchange>& exchange) {
  try {
    callbacks.handle(exchange);
  } catch (const std::exception& error) {
    exchange->respond(callbacks.refuse(exchange->request(), 500, error.what()));
  }
}

// ---- Answering
// -------------------------------------------------------------------------------------------------------

std::string HttpConnection::head_text(const ServerResponse& response, std::optional<std::size_t> length,
                                      bool is_chunked) {
  std::string head = str("HTTP/1.1 ", response.status, " ", reason_phrase(response.status), "\r\nDate: ", http_date(),
                         "\r\nX-Request-Id: ", request_.id, "\r\n");
  if (!response.content_type.empty()) head += str("Content-Type: ", response.content_type, "\r\n");
  if (length) head += str("Content-Length: ", *length, "\r\n");
  if (is_chunked) head += "Transfer-Encoding: chunked\r\n";
  for (const HttpHeader& header : response.headers) head += str(header.name, ": ", header.value, "\r\n");
  if (!keeps_alive_) {
    head += "Connection: close\r\n";
  } else if (is_old_) {
    head += "Connection: keep-alive\r\n";
  }
  return head + "\r\n";
}

void HttpConnection::respond(std::size_t exchange, ServerResponse response) {
  if (exchange != exchange_ || state_ != State::kResponding || is_answered_ || is_streaming_) return;
  if (shared_.is_draining) keeps_alive_ = false;
  status_ = response.status;
  is_answered_ = true;
  const bool has_body = response.status != 204 && response.status != 304;
  std::string bytes = head_text(response, has_body ? std::optional(response.body.size()) : std::nullopt, false);
  if (has_body && !is_head_request_) bytes += response.body;
  send(std::move(bytes));
}

void HttpConnection::begin_stream(std::size_t exchange, ServerResponse head) {
  if (exchange != exchange_ || state_ != State::kResponding || is_answered_ || is_streaming_) return;
  if (shared_.is_draining || is_old_) keeps_alive_ = false;
  status_ = head.status;
  is_streaming_ = true;
  is_chunked_ = !is_old_;
  is_event_stream_ = head.content_type.starts_with("text/event-stream");
  std::string first = std::move(head.body);
  send(head_text(head, std::nullopt, is_chunked_));
  write(exchange, std::move(first));
}

void HttpConnection::write(std::size_t exchange, std::string piece) {
  if (exchange != exchange_ || state_ != State::kResponding || is_answered_ || !is_streaming_ || piece.empty()) return;
  if (is_head_request_) return;
  send(is_chunked_ ? str(hexadecimal(piece.size()), "\r\n", piece, "\r\n") : std::move(piece));
}

void HttpConnection::end_stream(std::size_t exchange) {
  if (exchange != exchange_ || state_ != State::kResponding || is_answered_ || !is_streaming_) return;
  is_answered_ = true;
  if (is_chunked_ && !is_head_request_) {
    send("0\r\n\r\n");
  } else if (!is_writing_) {
    finish_exchange();
  }
}

void HttpConnection::on_gone(std::size_t exchange, std::function<void()> callback) {
  if (exchange != exchange_ || state_ != State::kResponding) {
    if (callback) callback();
  } else if (!is_answered_) {
    gone_ = std::move(callback);
  }
}

void HttpConnection::abandon(std::size_t exchange) {
  if (exchange != exchange_ || state_ != State::kResponding || is_answered_) return;
  if (is_streaming_) return close();  // an end that is no proper end: the client sees that something is missing
  respond(exchange, shared_.callbacks.refuse(request_, 500, "the request was not answered."));
}

void HttpConnection::send(std::string bytes) {
  unsent_bytes_ += bytes.size();
  // A single answer may be as large as it is; a stream whose reader doesn't keep up is given up.
  if (is_streaming_ && unsent_bytes_ > shared_.limits.max_unsent_bytes) return close();
  out_.push_back(std::move(bytes));
  if (!is_writing_) write_next();
}

void HttpConnection::write_next() {
  is_writing_ = true;
  last_write_ = Clock::now();
  // All that waits goes out in one call: a batch of small events costs one packet.
  if (out_.size() > 1) {
    std::string joined;
    joined.reserve(unsent_bytes_);
    for (const std::string& bytes : out_) joined += bytes;
    out_.clear();
    out_.push_back(std::move(joined));
  }
  auto handler = [self = shared_from_this()](const error_code& error, std::size_t size) {
    self->guarded([&] { self->on_written(error, size); });
  };
  std::visit([&](auto& stream) { asio::async_write(stream, asio::buffer(out_.front()), std::move(handler)); }, stream_);
}

void HttpConnection::on_written(const error_code& error, std::size_t size) {
  is_writing_ = false;
  if (state_ == State::kClosed) return;
  if (error) return close();
  last_write_ = Clock::now();
  sent_bytes_ += size;
  unsent_bytes_ -= out_.front().size();
  out_.pop_front();
  if (!out_.empty()) {
    write_next();
  } else if (state_ == State::kResponding && is_answered_) {
    finish_exchange();
  }
}

void HttpConnection::finish_exchange() {
  gone_ = nullptr;
  count_body(0);
  shared_.count_exchanges(-1);
  report(status_);
  parser_.reset();
  if (!keeps_alive_ || shared_.is_draining) return linger();
  state_ = State::kIdle;
  began_ = Clock::now();
  process();
  read_more();
}

// Closing a socket that has unread bytes resets the connection, and the client may lose the answer; so its end is
// announced, and what still comes is read for a while.
void HttpConnection::linger() {
  state_ = State::kLingering;
  began_ = Clock::now();
  in_.consume(in_.size());
  error_code ignored;
  socket().shutdown(Socket::shutdown_send, ignored);
  read_more();
}

void HttpConnection::close_if_idle() {
  if (state_ == State::kIdle) close();
}

void HttpConnection::close() {
  if (state_ == State::kClosed) return;
  const bool was_responding = state_ == State::kResponding;
  count_body(0);
  state_ = State::kClosed;
  error_code ignored;
  socket().close(ignored);
  const auto self = shared_from_this();
  if (was_responding) {
    shared_.count_exchanges(-1);
    constexpr int kClientGone = 499;
    report(is_answered_ ? status_ : kClientGone);
    try {
      if (const auto gone = std::exchange(gone_, nullptr)) gone();
    } catch (const std::exception&) {  // no memory: the answer goes on for nobody, to its end
      gone_ = nullptr;
    }
  }
  shared_.closed(*this);
}

void HttpConnection::report(int status) {
  try {
    shared_.callbacks.finished(request_, status, sent_bytes_,
                               std::chrono::duration<double>(Clock::now() - exchange_began_).count());
  } catch (const std::exception&) {  // a line of the log that there is no memory for
    return;
  }
}

void HttpConnection::check_deadlines(Clock::time_point now) {
  if (const std::size_t exchange = abandoned_.exchange(0); exchange != 0) abandon(exchange);
  const HttpLimits& limits = shared_.limits;
  if (is_writing_ && now - last_write_ > limits.write_stall) return close();
  switch (state_) {
    case State::kHandshake:
      if (now - began_ > limits.head_time) close();
      return;
    case State::kIdle:
      if (now - began_ > limits.idle) close();
      return;
    case State::kHead:
      if (now - began_ > limits.head_time) refuse(408, "the request's head took too long.");
      return;
    case State::kBody: {
      const auto seconds = std::chrono::duration<double>(now - began_).count();
      const double received = static_cast<double>(parser_->get().body().size());
      const bool is_slow =
          now - began_ > limits.body_pause && received < seconds * static_cast<double>(limits.min_body_rate);
      if (is_slow || now - last_read_ > limits.body_pause) refuse(408, "the request's body took too long.");
      return;
    }
    case State::kResponding:
      if (is_event_stream_ && !is_answered_ && !is_writing_ && now - last_write_ > limits.ping) {
        write(exchange_, ": ping\n\n");
      }
      return;
    case State::kLingering:
      if (now - began_ > kLingerTime) close();
      return;
    case State::kClosed:
      return;
  }
}

}  // namespace carat
