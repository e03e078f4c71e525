#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace carat {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view text) {
  if (found_ || text.empty()) return {};
  held_ += text;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos || at > first) continue;
    if (at < first || stop.size() > found_->size()) found_ = stop;
    first = at;
  }
  if (found_) {
    held_.resize(first);
    return std::exchange(held_, {});
  }
  // The longest end of what is held that begins a stop text stays.
  std::size_t kept = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > kept; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) kept = n;
    }
  }
  std::string passed = held_.substr(0, held_.size() - kept);
  held_.erase(0, passed.size());
  return passed;
}

std::string StopMatcher::flush() {
  return std::exchange(held_, {});
}

}  // namespace carat
