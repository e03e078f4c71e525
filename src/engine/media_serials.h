// MediaSerials: a number for each content, for the keys of the prefix cache.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "engine/media_span.h"
#include "engine/prefix_cache.h"

namespace carat {

// Soft tokens that live have a number that no others have or ever had. Equal contents are found by MediaStore, which
// compares all of their bytes: no hash decides whether two pictures are the same. Any thread may ask.
class MediaSerials {
 public:
  // Of row `row` of these soft tokens; equals no token's id.
  TokenKey key(const SharedSoftTokens& soft, std::size_t row) {
    constexpr TokenKey kMedium = TokenKey{1} << 63;
    return kMedium | serial(soft) << 24 | row;
  }

 private:
  struct Entry {
    std::weak_ptr<const SoftTokens> soft;
    std::uint64_t serial = 0;
  };

  std::uint64_t serial(const SharedSoftTokens& soft) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[soft.get()];
    if (entry.soft.expired()) {
      std::erase_if(entries_,
                    [&](const auto& other) { return other.first != soft.get() && other.second.soft.expired(); });
      entry = {soft, ++last_};
    }
    return entry.serial;
  }

  std::mutex mutex_;  // guards all below
  std::map<const SoftTokens*, Entry> entries_;
  std::uint64_t last_ = 0;
};

}  // namespace carat
