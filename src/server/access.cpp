#include "server/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/file.h"

namespace carat {
namespace {

constexpr std::size_t kMinKeyLength = 16;
constexpr std::size_t kMaxKeyFile = std::size_t{1} << 20;
constexpr std::size_t kMaxFailures = 20;  // of one address within kFailureWindow
constexpr std::chrono::seconds kFailureWindow{60};
constexpr std::size_t kMaxAddresses = 4096;  // whose failures are remembered

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::array<unsigned char, 32> digest_of(std::string_view key) {
  std::array<unsigned char, 32> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
  return digest;
}

// "localhost:8080" -> "localhost", "[::1]:8080" -> "::1".
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t close = host.find(']');
    return close == std::string_view::npos ? std::string_view() : host.substr(1, close - 1);
  }
  return host.substr(0, host.find(':'));
}

// A name could be made to point here by whoever owns it; an address can't.
bool is_address(std::string_view name) {
  const auto only = [&](std::string_view characters) {
    return !name.empty() && name.find_first_not_of(characters) == std::string_view::npos;
  };
  return only("0123456789.") || (only("0123456789abcdefABCDEF:.") && name.find(':') != std::string_view::npos);
}

std::string_view key_of(const ServerRequest& head) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view authorization = head.header("authorization");
  if (authorization.size() > kBearer.size() && equals_ignoring_case(authorization.substr(0, kBearer.size()), kBearer)) {
    return trimmed(authorization.substr(kBearer.size()));
  }
  return head.header("x-api-key");
}

// A person following a link, as against a page that asks behind a person's back.
bool is_navigation(const ServerRequest& head) {
  return head.method == "GET" && equals_ignoring_case(head.header("sec-fetch-mode"), "navigate") &&
         equals_ignoring_case(head.header("sec-fetch-dest"), "document");
}

}  // namespace

std::vector<std::string> read_key_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw Error(ErrorKind::kBadInput, str(path, ": no such key file."));
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    throw Error(ErrorKind::kBadInput,
                str(path, ": others may read or write this key file. Run `chmod 600 ", path, "`."));
  }
  const std::string text = read_text_file(path, kMaxKeyFile);
  std::vector<std::string> keys;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = trimmed(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(
        std::min(rest.size(), rest.find('\n') == std::string_view::npos ? rest.size() : rest.find('\n') + 1));
    if (line.empty() || line.starts_with('#')) continue;
    if (line.size() < kMinKeyLength) {
      throw Error(ErrorKind::kBadInput, str(path, ": a key has ", line.size(), " characters; use at least ",
                                            kMinKeyLength, ", for instance those of `openssl rand -hex 24`."));
    }
    keys.emplace_back(line);
  }
  if (keys.empty()) throw Error(ErrorKind::kBadInput, str(path, ": holds no key."));
  return keys;
}

Access::Access(AccessOptions options) : options_(std::move(options)) {
  set_keys(std::exchange(options_.keys, {}));
}

void Access::set_keys(std::vector<std::string> keys) {
  std::vector<Digest> digests;
  for (std::string& key : keys) {
    digests.push_back(digest_of(key));
    OPENSSL_cleanse(key.data(), key.size());
  }
  const std::scoped_lock lock(keys_mutex_);
  digests_ = std::move(digests);
}

bool Access::needs_key() const {
  const std::scoped_lock lock(keys_mutex_);
  return !digests_.empty();
}

bool Access::is_key(std::string_view key) const {
  const Digest digest = digest_of(key);
  // All keys are compared, each in constant time: how long it takes tells nothing.
  unsigned matches = 0;
  const std::scoped_lock lock(keys_mutex_);
  for (const Digest& known : digests_) {
    matches += CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0 ? 1U : 0U;
  }
  return !key.empty() && matches > 0;
}

bool Access::is_allowed_origin(std::string_view origin) const {
  return std::ranges::any_of(options_.allowed_origins, [&](const std::string& allowed) {
    return allowed == "*" || equals_ignoring_case(allowed, origin);
  });
}

std::optional<ApiError> Access::check_origin(const ServerRequest& head) const {
  const std::string_view host = head.header("host");
  const std::string_view name = host_name(host);
  const bool is_ours = host.empty() || is_address(name) || equals_ignoring_case(name, "localhost") ||
                       std::ranges::any_of(options_.allowed_hosts, [&](const std::string& allowed) {
                         return equals_ignoring_case(allowed, name);
                       });
  if (!is_ours) {
    return ApiError(403, "host_not_allowed",
                    str("\"", printable(name), "\" is no name of this server; allow it with --allow-host."));
  }
  const std::string_view origin = head.header("origin");
  const bool is_allowed = is_allowed_origin(origin);
  if (!origin.empty() && !is_allowed) {
    const std::size_t scheme = origin.find("://");
    const bool is_same = scheme != std::string_view::npos && equals_ignoring_case(origin.substr(scheme + 3), host);
    if (!is_same) {
      return ApiError(
          403, "origin_not_allowed",
          str("pages of \"", printable(origin), "\" may not ask this server; allow them with --cors-origin."));
    }
  }
  const bool is_cross_site = equals_ignoring_case(head.header("sec-fetch-site"), "cross-site");
  if (is_cross_site && !is_allowed && !is_navigation(head)) {
    return ApiError(403, "origin_not_allowed", "pages of other sites may not ask this server.");
  }
  return std::nullopt;
}

std::optional<ApiError> Access::check_key(const ServerRequest& head, std::chrono::steady_clock::time_point now) {
  if (!needs_key()) return std::nullopt;
  const auto failures = failures_.find(head.peer);
  if (failures != failures_.end()) {
    if (now - failures->second.since > kFailureWindow) {
      failures_.erase(failures);
    } else if (failures->second.count >= kMaxFailures) {
      return passing_error(429, "rate_limit_exceeded", "too many wrong API keys from this address; wait a minute.",
                           static_cast<std::size_t>(kFailureWindow.count()));
    }
  }
  const std::string_view key = key_of(head);
  if (is_key(key)) return std::nullopt;
  if (!key.empty()) {
    if (failures_.size() >= kMaxAddresses) failures_.clear();
    Failures& mine = failures_[head.peer];
    if (mine.count++ == 0) mine.since = now;
  }
  return ApiError(401, "invalid_api_key",
                  key.empty() ? "this server needs an API key: Authorization: Bearer KEY." : "the API key is wrong.");
}

std::vector<HttpHeader> Access::cross_origin_headers(const ServerRequest& head) const {
  const std::string_view origin = head.header("origin");
  if (origin.empty() || !is_allowed_origin(origin)) return {};
  std::vector<HttpHeader> headers{{"Access-Control-Allow-Origin", std::string(origin)}, {"Vary", "Origin"}};
  if (head.method == "OPTIONS") {
    headers.push_back({"Access-Control-Allow-Methods", "GET, POST, DELETE"});
    // Named one by one: "*" does not stand for Authorization.
    const std::string_view asked = head.header("access-control-request-headers");
    headers.push_back({"Access-Control-Allow-Headers",
                       asked.empty() ? "Authorization, Content-Type, OpenAI-Beta, anthropic-version, x-api-key"
                                     : std::string(asked)});
    headers.push_back({"Access-Control-Max-Age", "600"});
  }
  return headers;
}

}  // namespace carat
