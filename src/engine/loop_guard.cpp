#include "engine/loop_guard.h"

#include <algorithm>

namespace carat {

bool LoopGuard::push(std::int32_t token) {
  latest_.resize(kLongest);
  bool is_loop = false;
  for (std::size_t period = 1; period <= std::min(kLongest, count_); ++period) {
    std::size_t& same = same_as_before_[period];
    same = latest_[(count_ - period) % kLongest] == token ? same + 1 : 0;
    // `same` repeated tokens after the first stretch, which is one repeat less.
    is_loop = is_loop || same >= std::max(kTokens, (kRepeats - 1) * period);
  }
  latest_[count_ % kLongest] = token;
  ++count_;
  return is_loop;
}

void LoopGuard::reset() {
  *this = LoopGuard();
}

}  // namespace carat
