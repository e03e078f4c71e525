#include "cli/remote_media.h"

#include <algorithm>

#include "base/error.h"
#include "cli/command.h"
#include "engine/answerer.h"

namespace carat {

RemoteMedia::RemoteMedia(const std::vector<std::string>& hosts) {
  for (const std::string& host : hosts) {
    const bool has_scheme = host.find("://") != std::string::npos;
    const std::string url = has_scheme ? host : "https://" + host;
    UrlOrigin origin = url_origin(url);
    const bool is_whole = origin.scheme == "http" || origin.scheme == "https";
    const std::size_t rest = url.find_first_of("/?#@", url.find("://") + 3);
    if (!is_whole || rest != std::string::npos) {
      throw UsageError(str("--allow-media-host ", printable(host), ": expected HOST, HOST:PORT or http://HOST:PORT."));
    }
    allowed_.push_back(std::move(origin));
  }
}

std::string RemoteMedia::fetch(const std::string& url) {
  const UrlOrigin origin = url_origin(url);
  if (std::ranges::find(allowed_, origin) == allowed_.end()) {
    throw Error(ErrorKind::kBadInput, "is at a host that this server may not fetch from (--allow-media-host).");
  }
  if (!places_.try_acquire()) throw BusyError("other pictures are being fetched.", 1);
  struct Place {
    std::counting_semaphore<kMostAtOnce>& places;
    ~Place() { places.release(); }
  } const place{places_};

  HttpRequest request;
  request.url = url;
  request.max_seconds = kMaxSeconds;
  request.is_foreign = true;
  std::string bytes;
  try {
    const HttpResponse response =
        HttpClient().perform(request, [&](const HttpResponse&, std::span<const std::byte> data) {
          if (data.size() > kMaxBytes - bytes.size()) {
            throw Error(ErrorKind::kBadInput, str("has more than ", kMaxBytes >> 20, " MiB."));
          }
          bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
          return true;
        });
    if (response.status != 200) {
      throw Error(ErrorKind::kBadInput, str("can't be fetched: its server answered ", response.status, "."));
    }
  } catch (const NetworkError& error) {
    throw Error(ErrorKind::kBadInput, str("can't be fetched: ", error.what()));
  }
  if (bytes.empty()) throw Error(ErrorKind::kBadInput, "is empty.");
  return bytes;
}

}  // namespace carat
