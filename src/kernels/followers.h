// Followers: what a worker reads after the products at hand.
#pragma once

#include <cstddef>
#include <span>
#include <unordered_map>
#include <vector>

namespace carat {

// A forward pass asks for the same products again and again. So where each worker began with those that followed is
// where it is likely to begin this time, and what it finds there may be fetched while others finish, or while norms are
// computed. A guess, only ever good for a prefetch: what it points to may be gone.
class Followers {
 public:
  // Notes that products whose first weight is `group`, and with which worker i begins at starts[i], follow those noted
  // last. Returns where the workers began with what followed `group` itself; empty where that is not known yet. Valid
  // until the next call.
  const std::vector<const std::byte*>& follow(const std::byte* group, std::span<const std::byte* const> starts) {
    if (last_ != nullptr) last_->assign(starts.begin(), starts.end());
    last_ = &next_[group];
    return *last_;
  }

 private:
  std::unordered_map<const std::byte*, std::vector<const std::byte*>> next_;
  std::vector<const std::byte*>* last_ = nullptr;  // in next_, whose elements stay where they are
};

}  // namespace carat
