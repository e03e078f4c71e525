// RemoteMedia: pictures that requests name by address, from hosts that the server's owner allowed.
#pragma once

#include <cstddef>
#include <semaphore>
#include <string>
#include <vector>

#include "store/http_client.h"

namespace carat {

class RemoteMedia {
 public:
  // hosts: HOST or HOST:PORT for https, http://HOST:PORT. A name has to stand for a public address; an address is what
  // it is. Throws UsageError for what is neither.
  explicit RemoteMedia(const std::vector<std::string>& hosts);

  // The file. Throws Error(kBadInput) for an address elsewhere, one that can't be fetched, a file that is larger than
  // kMaxBytes or takes longer than kMaxSeconds; BusyError while kMostAtOnce others are fetched. Any thread.
  std::string fetch(const std::string& url);

  static constexpr std::size_t kMaxBytes = std::size_t{20} << 20;
  static constexpr long kMaxSeconds = 10;
  static constexpr std::ptrdiff_t kMostAtOnce = 2;  // so that some threads are left for other requests

 private:
  std::vector<UrlOrigin> allowed_;
  std::counting_semaphore<kMostAtOnce> places_{kMostAtOnce};
};

}  // namespace carat
