#include "server/http_server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <thread>
#include <unordered_set>
#include <utility>

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
        shared_{options_.limits, callbacks_, network_, handlers_, false, 0, {}, {}} {
    shared_.closed = [this](HttpConnection& connection) { forget(connection); };
    shared_.count_exchanges = [this](std::ptrdiff_t change) {
      exchanges_ += static_cast<std::size_t>(change);  // wraps as it should for -1
    };
    for (const std::string& address : options_.addresses) {
      listening_.push_back({listen_at(*network_, address, port_ != 0 ? port_ : options_.port)});
      if (port_ == 0) port_ = listening_.back().acceptor.local_endpoint().port();
    }
    accept();
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    asio::post(*network_, [this] {
      is_stopping_ = true;
      error_code ignored;
      for (Listening& listening : listening_) listening.acceptor.close(ignored);
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

  void reload_certificate() {
    std::optional<asio::ssl::context> context = tls_context(options_);
    // Streams hold what they need of the old one.
    asio::post(*network_, [this, fresh = std::move(context)]() mutable { tls_ = std::move(fresh); });
  }

  void drain() {
    asio::post(*network_, [this] {
      shared_.is_draining = true;
      const auto connections = connections_;
      for (const auto& connection : connections) connection->close_if_idle();
    });
  }

 private:
  void run() {
    const auto there_is_always_work = asio::make_work_guard(*network_);
    while (!network_->stopped()) {
      try {
        network_->run_for(kTick);
        check_deadlines();
        accept();
      } catch (const std::exception&) {  // no memory for one event, or for this look at deadlines: others follow
        continue;
      }
    }
  }

  // An address that is listened at.
  struct Listening {
    tcp::acceptor acceptor;
    std::shared_ptr<bool> is_accepting = std::make_shared<bool>(false);  // pending accepts may outlive the acceptor
  };

  // Lives as long as a pending accept. Asio drops a handler without a call where it has no memory for the new socket.
  class Accepting {
   public:
    explicit Accepting(std::shared_ptr<bool> flag) : flag_(std::move(flag)) { *flag_ = true; }
    Accepting(Accepting&&) noexcept = default;
    Accepting& operator=(Accepting&&) = delete;
    ~Accepting() { end(); }
    void end() {
      if (flag_ != nullptr) *flag_ = false;
      flag_ = nullptr;
    }

   private:
    std::shared_ptr<bool> flag_;
  };

  // Of each address, unless that is under way: at the start, when a connection makes room, and at every tick. Where no
  // file descriptor or no memory is left, the next tick is soon enough: no spin.
  void accept() {
    for (Listening& listening : listening_) accept(listening);
  }

  void accept(Listening& listening) {
    if (is_stopping_ || *listening.is_accepting || connections_.size() >= options_.limits.max_connections) return;
    listening.acceptor.async_accept([this, &listening, accepting = Accepting(listening.is_accepting)](
                                        const error_code& error, tcp::socket socket) mutable {
      accepting.end();
      if (error || is_stopping_) return;
      welcome(std::move(socket));
      accept(listening);
    });
  }

  void welcome(tcp::socket socket) {
    auto connection = std::make_shared<HttpConnection>(shared_, std::move(socket), tls_ ? &*tls_ : nullptr);
    connections_.insert(connection);
    connection_count_ = connections_.size();
    connection->guarded([&] { connection->start(); });
  }

  void forget(HttpConnection& connection) {
    connections_.erase(connection.shared_from_this());
    connection_count_ = connections_.size();
    try {
      accept();
    } catch (const std::exception&) {  // no memory: at the next tick
      return;
    }
  }

  void check_deadlines() {
    const Clock::time_point now = Clock::now();
    const std::vector<std::shared_ptr<HttpConnection>> connections(connections_.begin(), connections_.end());
    for (const auto& connection : connections) connection->guarded([&] { connection->check_deadlines(now); });
  }

  HttpOptions options_;
  HttpCallbacks callbacks_;
  std::optional<asio::ssl::context> tls_;  // once it runs, the network's thread's
  std::shared_ptr<asio::io_context> network_ = std::make_shared<asio::io_context>();
  asio::thread_pool handlers_;
  std::deque<Listening> listening_;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
  HttpShared shared_;
  bool is_stopping_ = false;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> exchanges_{0};
  std::atomic<std::size_t> connection_count_{0};
  std::thread thread_;
};

HttpServer::HttpServer(HttpOptions options, HttpCallbacks callbacks) {
  try {
    impl_ = std::make_unique<Impl>(std::move(options), std::move(callbacks));
  } catch (const boost::system::system_error& error) {
    throw Error(
        ErrorKind::kOutOfMemory,
        str("the system gives the server no more threads or descriptors: ", error.what(), ". Check ulimit -u and -n."));
  }
}
HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const {
  return impl_->port();
}

void HttpServer::reload_certificate() {
  impl_->reload_certificate();
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
