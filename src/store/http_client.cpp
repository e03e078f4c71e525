#include "store/http_client.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "store/public_address.h"

namespace carat {
namespace {

constexpr int kMaxRedirects = 5;
constexpr std::size_t kMaxHeaderBytes = std::size_t{64} << 10;
constexpr long kConnectSeconds = 20;

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

std::string url_part(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  std::string result;
  if (curl_url_get(url, part, &text, flags) == CURLUE_OK && text != nullptr) result = text;
  curl_free(text);
  return result;
}

// Lines of a request's head, as libcurl takes them.
class HeaderList {
 public:
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list_); }
  void append(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

// Without what may be a secret: signed URLs carry one behind the question mark.
std::string shown(const std::string& url) {
  return printable(std::string_view(url).substr(0, url.find('?')), 200);
}

}  // namespace

bool UrlOrigin::is_address() const {
  return host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string::npos;
}

bool UrlOrigin::is_loopback() const {
  return host == "localhost" || (is_address() && host.starts_with("127.")) || host == "[::1]";
}

UrlOrigin url_origin(const std::string& url) {
  CURLU* handle = curl_url();
  UrlOrigin origin;
  if (curl_url_set(handle, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK) {
    origin = {url_part(handle, CURLUPART_SCHEME, 0), url_part(handle, CURLUPART_HOST, 0),
              url_part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  }
  curl_url_cleanup(handle);
  for (char& c : origin.host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return origin;
}

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

// The handle and what its callbacks need.
struct HttpClient::Transfer {
  CURL* curl = nullptr;
  HttpResponse response{};
  std::size_t header_bytes = 0;
  const std::function<bool(const HttpResponse&, std::span<const std::byte>)>* on_data = nullptr;
  const std::function<bool()>* should_stop = nullptr;
  bool is_refused = false;       // on_data returned false
  bool is_private = false;       // a name stood for an address that is not public
  std::exception_ptr failure{};  // it threw
  char error[CURL_ERROR_SIZE] = {};

  static std::size_t header(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    std::string_view line(data, size * count);
    transfer.header_bytes += line.size();
    if (transfer.header_bytes > kMaxHeaderBytes) return 0;
    if (line.starts_with("HTTP/")) transfer.response.headers.clear();
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return line.size();
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
      value.remove_suffix(1);
    transfer.response.headers[name] = std::string(value);
    return line.size();
  }

  static std::size_t data(char* bytes, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &transfer.response.status);
    const bool is_redirect = transfer.response.status >= 300 && transfer.response.status < 400;
    if (is_redirect) return size * count;  // its body is of no interest
    try {
      const auto span = std::as_bytes(std::span<const char>(bytes, size * count));
      if ((*transfer.on_data)(transfer.response, span)) return size * count;
      transfer.is_refused = true;
    } catch (...) {
      transfer.failure = std::current_exception();
    }
    return 0;
  }

  // Asked with the very address that would be connected to: whatever the name means a moment later.
  static curl_socket_t open_public(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) {
    if (is_public_address(address->addr)) {
      return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    }
    static_cast<Transfer*>(self)->is_private = true;
    return CURL_SOCKET_BAD;
  }

  static int progress(void* self, curl_off_t /*down_total*/, curl_off_t /*down*/, curl_off_t /*up_total*/,
                      curl_off_t /*up*/) {
    const auto& transfer = *static_cast<Transfer*>(self);
    return transfer.should_stop != nullptr && *transfer.should_stop && (*transfer.should_stop)() ? 1 : 0;
  }
};

HttpClient::HttpClient() : transfer_(std::make_unique<Transfer>()) {
  start_curl();
  transfer_->curl = curl_easy_init();
  if (transfer_->curl == nullptr)
    throw Error(ErrorKind::kOutOfMemory, "can't start a network transfer: out of memory.");
}

HttpClient::~HttpClient() {
  curl_easy_cleanup(transfer_->curl);
}

HttpResponse HttpClient::perform(const HttpRequest& request,
                                 const std::function<bool(const HttpResponse&, std::span<const std::byte>)>& on_data,
                                 const std::function<bool()>& should_stop) {
  Transfer& t = *transfer_;
  const UrlOrigin home = url_origin(request.url);
  const bool may_authenticate = home.scheme == "https" || home.is_loopback();
  std::string url = request.url;
  for (int redirects = 0;; ++redirects) {
    const UrlOrigin origin = url_origin(url);
    CURL* curl = t.curl;
    curl_easy_reset(curl);  // keeps the connection
    t.response = {};
    t.response.was_redirected = redirects != 0;
    t.header_bytes = 0;
    t.on_data = &on_data;
    t.should_stop = &should_stop;
    t.is_refused = false;
    t.is_private = false;
    t.failure = nullptr;
    t.error[0] = '\0';
    HeaderList headers;
    for (const std::string& header : request.headers) headers.append(header);
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "carat");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t.error);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1000L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, request.low_speed_seconds);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, Transfer::header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Transfer::data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, Transfer::progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &t);
    if (request.json_body) {
      headers.append("Content-Type: application/json");
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.json_body->size()));
      curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.json_body->c_str());
    }
    if (request.max_seconds != 0) curl_easy_setopt(curl, CURLOPT_TIMEOUT, request.max_seconds);
    if (request.is_foreign) {
      curl_easy_setopt(curl, CURLOPT_PROXY, "");
      curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);  // none that was opened for something else
      if (!origin.is_address()) {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, Transfer::open_public);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &t);
      }
    }
    if (headers.get() != nullptr) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    if (origin.is_loopback()) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    // NOLINTBEGIN(concurrency-mt-unsafe): nothing here sets variables
    if (const char* file = std::getenv("SSL_CERT_FILE")) curl_easy_setopt(curl, CURLOPT_CAINFO, file);
    if (const char* folder = std::getenv("SSL_CERT_DIR")) curl_easy_setopt(curl, CURLOPT_CAPATH, folder);
    // NOLINTEND(concurrency-mt-unsafe)
    std::string range;
    if (request.range) {
      range = str(request.range->first, "-", request.range->second);
      curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
    }
    if (origin == home && may_authenticate && !request.token.empty()) {
      curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, request.token.c_str());
    } else if (origin == home && may_authenticate && !request.user_password.empty()) {
      curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      curl_easy_setopt(curl, CURLOPT_USERPWD, request.user_password.c_str());
    }

    const CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &t.response.status);
    if (t.failure) std::rethrow_exception(t.failure);
    if (code != CURLE_OK) {
      const char* why = t.is_refused         ? "the server sent something else than was asked for"
                        : t.is_private       ? "its name stands for an address that is not public"
                        : t.error[0] != '\0' ? t.error
                                             : curl_easy_strerror(code);
      const bool is_final = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
                            code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
      throw NetworkError(str(shown(url), ": ", printable(why, 200), "."), !is_final);
    }
    if (t.response.status < 300 || t.response.status >= 400 || t.response.status == 304) return t.response;
    if (request.is_foreign) throw NetworkError(shown(url) + ": is elsewhere, and redirects are not followed.", false);

    char* target = nullptr;
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
    if (target == nullptr || redirects >= kMaxRedirects) {
      throw NetworkError(str(shown(request.url), ": more than ", kMaxRedirects, " redirects, or one to nowhere."),
                         true);
    }
    const std::string next = target;
    const UrlOrigin to = url_origin(next);
    if (to.scheme != "https" && !(to.scheme == "http" && (origin.scheme == "http" || to.is_loopback()))) {
      throw NetworkError(str(shown(url), ": redirects to ", shown(next), ", which is not HTTPS."), false);
    }
    url = next;
  }
}

std::string HttpClient::get_text(const HttpRequest& request, std::size_t max_bytes,
                                 const std::function<bool()>& should_stop) {
  std::string text;
  const HttpResponse response = perform(
      request,
      [&](const HttpResponse&, std::span<const std::byte> data) {
        if (data.size() > max_bytes - text.size()) return false;
        text.append(reinterpret_cast<const char*>(data.data()), data.size());
        return true;
      },
      should_stop);
  if (response.status != 200) throw status_error(request.url, response);
  return text;
}

NetworkError status_error(const std::string& url, const HttpResponse& response) {
  const long status = response.status;
  const std::string where = str(shown(url), ": the server answered ", status, ". ");
  switch (status) {
    case 401:
      return {where +
                  "It wants to know who you are: set HF_TOKEN (or --token) to a token of your account, and check the "
                  "model's name.",
              response.was_redirected};
    case 403:
      return {
          where + "Your account may not have this model: accept its terms on its page, and set HF_TOKEN (or --token).",
          response.was_redirected};
    case 404:
      return {where + "There is no such model, file or revision. Check the name.", false};
    case 429:
      return {where + "It is asked too often; try again later, or with a token (HF_TOKEN).", true};
    default:
      return {where + (status >= 500 || status == 408 || status == 425 ? "It has a problem; try again later."
                                                                       : "That was not expected."),
              status >= 500 || status == 408 || status == 425 || response.was_redirected};
  }
}

}  // namespace carat
