#include "server/http_server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <unordered_set>

#include "base/error.h"
#include "server/http_connection.h"

namespace carat {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kTick{250};  // how often deadlines are looked at

// A socket that accepts connections.
tcp::acceptor listen_at(asio::io_context& network, const std::string& address, std::uint16_t port) {
  error_code error;
  const auto parsed = asio::ip::make_address(address == "localhost" ? "127.0.0.1" : address, error);
  if (error) {
    throw Error(ErrorKind::kBadInput, str("\"", printable(address), "\" is no IP address to listen at."));
  }
  tcp::acceptor acceptor(network);
  const tcp::endpoint endpoint(parsed, port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && parsed.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    throw Error(ErrorKind::kBadInput, str("can't listen at ", address, " port ", port, ": ", error.message(),
                                          ". Choose another port with --port."));
  }
  return acceptor;
}

std::optional<asio::ssl::context> tls_context(const HttpOptions& options) {
  if (options.tls_certificate_file.empty() && options.tls_key_file.empty()) return std::nullopt;
  if (options.tls_certificate_file.empty() || options.tls_key_file.empty()) {
    throw Error(ErrorKind::kBadInput, "HTTPS needs a certificate and its key: --tls-cert and --tls-key.");
  }
  asio::ssl::context context(asio::ssl::context::tls_server);
  context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                      asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  error_code error;
  context.use_certificate_chain_file(options.tls_certificate_file, error);
  if (error) {
    throw Error(ErrorKind::kBadInput,
                str(options.tls_certificate_file, ": no certificate in PEM form: ", error.message(), "."));
  }
  context.use_private_key_file(options.tls_key_file, asio::ssl::context::pem, error);
  if (error) {
    throw Error(ErrorKind::kBadInput,
                str(options.tls_key_file, ": not the certificate's private key in PEM form: ", error.message(), "."));
  }
  return context;
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(HttpOptions options, HttpCallbacks callbacks)
      : options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        tls_(tls_context(options_)),
        handlers_(options_.handler_threads),
        timer_(*network_),
        retry_(*network_),
        shared_{options_.limits, callbacks_, network_, handlers_, false, 0, {}, {}} {
    shared_.closed = [this](HttpConnection& connection) { forget(connection); };
    shared_.count_exchanges = [this](std::ptrdiff_t change) {
      exchanges_ += static_cast<std::size_t>(change);  // wraps as it should for -1
    };
    for (const std::string& address : options_.addresses) {
      acceptors_.push_back(listen_at(*network_, address, port_ != 0 ? port_ : options_.port));
      if (port_ == 0) port_ = acceptors_.back().local_endpoint().port();
    }
    for (tcp::acceptor& acceptor : acceptors_) accept(acceptor);
    tick();
    thread_ = std::thread([this] { network_->run(); });
  }

  ~Impl() {
    asio::post(*network_, [this] {
      is_stopping_ = true;
      error_code ignored;
      for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
      timer_.cancel();
      retry_.cancel();
      const auto connections = connections_;
      for (const auto& connection : connections) connection->close();
    });
    handlers_.join();  // what runs may still post to the network
    asio::post(*network_, [this] { network_->stop(); });
    thread_.join();
  }

  std::uint16_t port() const { return port_; }
  std::size_t exchanges() const { return exchanges_; }
  std::size_t connections() const { return connection_count_; }

  void drain() {
    asio::post(*network_, [this] {
      shared_.is_draining = true;
      const auto connections = connections_;
      for (const auto& connection : connections) connection->close_if_idle();
    });
  }

 private:
  void accept(tcp::acceptor& acceptor) {
    if (is_stopping_) return;
    if (connections_.size() >= options_.limits.max_connections) {
      waiting_.push_back(&acceptor);  // until one closes
      return;
    }
    acceptor.async_accept([this, &acceptor](const error_code& error, tcp::socket socket) {
      if (is_stopping_) return;
      if (error) {
        // Most likely no file descriptor is left: a pause, not a spin.
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this, &acceptor](const error_code& cancelled) {
          if (!cancelled) accept(acceptor);
        });
        return;
      }
      auto connection = std::make_shared<HttpConnection>(shared_, std::move(socket), tls_ ? &*tls_ : nullptr);
      connections_.insert(connection);
      connection_count_ = connections_.size();
      connection->start();
      accept(acceptor);
    });
  }

  void forget(HttpConnection& connection) {
    connections_.erase(connection.shared_from_this());
    connection_count_ = connections_.size();
    if (!waiting_.empty()) {
      tcp::acceptor* acceptor = waiting_.back();
      waiting_.pop_back();
      accept(*acceptor);
    }
  }

  void tick() {
    timer_.expires_after(kTick);
    timer_.async_wait([this](const error_code& cancelled) {
      if (cancelled || is_stopping_) return;
      const Clock::time_point now = Clock::now();
      const std::vector<std::shared_ptr<HttpConnection>> connections(connections_.begin(), connections_.end());
      for (const auto& connection : connections) connection->check_deadlines(now);
      tick();
    });
  }

  HttpOptions options_;
  HttpCallbacks callbacks_;
  std::optional<asio::ssl::context> tls_;
  std::shared_ptr<asio::io_context> network_ = std::make_shared<asio::io_context>();
  asio::thread_pool handlers_;
  std::deque<tcp::acceptor> acceptors_;
  std::vector<tcp::acceptor*> waiting_;  // for room
  asio::steady_timer timer_, retry_;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
  HttpShared shared_;
  bool is_stopping_ = false;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> exchanges_{0};
  std::atomic<std::size_t> connection_count_{0};
  std::thread thread_;
};

HttpServer::HttpServer(HttpOptions options, HttpCallbacks callbacks)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(callbacks))) {}
HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const {
  return impl_->port();
}

void HttpServer::drain() {
  impl_->drain();
}

std::size_t HttpServer::open_exchanges() const {
  return impl_->exchanges();
}

std::size_t HttpServer::open_connections() const {
  return impl_->connections();
}

}  // namespace carat
