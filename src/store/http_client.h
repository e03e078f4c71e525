// HttpClient: requests by libcurl, with redirects followed by rules of our own. Proxies as in the environment
// (HTTPS_PROXY, NO_PROXY; none to this machine's own servers), certificates as SSL_CERT_FILE and SSL_CERT_DIR say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace carat {

// Something between here and the server went wrong.
class NetworkError : public Error {
 public:
  NetworkError(const std::string& message, bool may_pass) : Error(ErrorKind::kNetwork, message), may_pass_(may_pass) {}
  // Another attempt may do better.
  bool may_pass() const { return may_pass_; }

 private:
  bool may_pass_;
};

// Where a URL leads to.
struct UrlOrigin {
  std::string scheme, host, port;  // the host in lower case, an IPv6 address in brackets
  bool operator==(const UrlOrigin&) const = default;
  bool is_loopback() const;
  bool is_address() const;  // the host is no name
};
UrlOrigin url_origin(const std::string& url);  // empty for what is no URL

struct HttpRequest {
  std::string url;
  // Sent to the url's own scheme, host and port only, and there only over TLS or to this machine; not to where it
  // redirects.
  std::string token{};          // Authorization: Bearer
  std::string user_password{};  // "user:password": Authorization: Basic
  std::vector<std::string> headers{};
  std::optional<std::pair<std::uint64_t, std::uint64_t>> range{};  // first and last byte
  std::optional<std::string> json_body{};                          // sent as POST
  long low_speed_seconds = 30;  // gives up when fewer than 1,000 bytes a second come for so long
  long max_seconds = 0;         // for all of it; 0: any
  // Somebody else chose the URL: no redirect is followed, no proxy asked, and a name has to stand for a public address.
  bool is_foreign = false;
};

struct HttpResponse {
  long status = 0;
  bool was_redirected = false;
  std::map<std::string, std::string> headers{};  // names in lower case
  std::string header(const std::string& name) const;
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // GET, or POST where there is a body. Hands the body of the final response out in pieces, together with its head;
  // on_data returning false ends the transfer, which then throws NetworkError. should_stop, if given, is asked several
  // times a second: true ends it too. Any status is a response. Throws NetworkError; redirects beyond five and to
  // anything but HTTP are errors.
  HttpResponse perform(const HttpRequest& request,
                       const std::function<bool(const HttpResponse&, std::span<const std::byte>)>& on_data,
                       const std::function<bool()>& should_stop = {});

  // A body of at most max_bytes as text. Throws NetworkError for a status other than 200, worded for people.
  std::string get_text(const HttpRequest& request, std::size_t max_bytes,
                       const std::function<bool()>& should_stop = {});

 private:
  struct Transfer;
  std::unique_ptr<Transfer> transfer_;
};

// What a status that is no success means and what to do.
NetworkError status_error(const std::string& url, const HttpResponse& response);

}  // namespace carat
