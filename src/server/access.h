// Who may ask: API keys, and the Host and Origin that a browser states. Decided on a request's head alone.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"
#include "server/http_message.h"

namespace carat {

struct AccessOptions {
  std::vector<std::string> keys;             // empty: everybody may ask
  std::vector<std::string> allowed_hosts;    // names besides localhost and IP addresses that Host may state
  std::vector<std::string> allowed_origins;  // "https://example.org" of web pages elsewhere; "*": all
};

// Keys from a text file: one a line; empty lines and those that begin with # are passed over. Throws
// Error(kBadInput): no such file, no key in it, a key shorter than 16 characters, readable or writable by others.
std::vector<std::string> read_key_file(const std::string& path);

// check_key is for one thread at a time, all else for any.
class Access {
 public:
  explicit Access(AccessOptions options);

  // From now on these are the keys, and no others.
  void set_keys(std::vector<std::string> keys);

  // 400, 403: a page elsewhere asks, or Host is a name that is not ours (DNS rebinding). Nothing if all is well.
  std::optional<ApiError> check_origin(const ServerRequest& head) const;
  // 401, or 429 after many failures of one address. now: of a steady clock.
  std::optional<ApiError> check_key(const ServerRequest& head, std::chrono::steady_clock::time_point now);

  // What a browser wants to read on an answer to a page of an allowed origin; empty for others.
  std::vector<HttpHeader> cross_origin_headers(const ServerRequest& head) const;

 private:
  using Digest = std::array<unsigned char, 32>;  // SHA-256
  struct Failures {
    std::size_t count = 0;
    std::chrono::steady_clock::time_point since;
  };

  bool is_allowed_origin(std::string_view origin) const;

  bool needs_key() const;
  bool is_key(std::string_view key) const;

  AccessOptions options_;          // without its keys
  mutable std::mutex keys_mutex_;  // guards digests_
  std::vector<Digest> digests_;
  std::map<std::string, Failures> failures_;  // by address
};

}  // namespace carat
