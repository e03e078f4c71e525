// RangeShares: the indices [0, n) cut into one contiguous share a worker, so that each streams through memory in
// order, and yet none is idle while another has work left.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/index_range.h"

namespace carat {

// The owner of a share takes runs from its front, ever shorter ones, so that little is left to wait for at the end; who
// has finished its own takes from the back of another's. Any number of threads may take at a time.
class RangeShares {
 public:
  explicit RangeShares(std::size_t workers) : shares_(workers) {}

  // Deals out [0, n), n < 2^32, in equal shares. Nobody may take meanwhile.
  void deal(std::size_t n) {
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      set(i, {n * i / shares_.size(), n * (i + 1) / shares_.size()});
    }
  }

  // The same in shares that end where they are told to, in ascending order.
  void deal(std::span<const std::size_t> ends) {
    for (std::size_t i = 0; i < shares_.size(); ++i) set(i, {i == 0 ? 0 : ends[i - 1], ends[i]});
  }

  // The share as it was dealt, whatever was taken of it since.
  IndexRange dealt(std::size_t share) const { return shares_[share].dealt; }

  // Indices that nobody else gets: of this share while it has any, then of others. Empty: none are left anywhere.
  IndexRange take(std::size_t share) {
    const IndexRange own = take_from(shares_[share], true);
    if (!own.empty()) return own;
    for (std::size_t i = 1; i < shares_.size(); ++i) {
      const IndexRange other = take_from(shares_[(share + i) % shares_.size()], false);
      if (!other.empty()) return other;
    }
    return {};
  }

 private:
  struct alignas(64) Share {
    std::atomic<std::uint64_t> rest{0};  // first index in the upper half, end in the lower one
    IndexRange dealt;
  };

  void set(std::size_t share, const IndexRange& range) {
    shares_[share].dealt = range;
    shares_[share].rest.store(pack(range.first, range.end), std::memory_order_relaxed);
  }

  static std::uint64_t pack(std::size_t first, std::size_t end) { return std::uint64_t{first} << 32U | end; }

  // A quarter of what is left, from the front or from the back.
  static IndexRange take_from(Share& share, bool from_front) {
    std::uint64_t rest = share.rest.load(std::memory_order_relaxed);
    for (;;) {
      const std::size_t first = rest >> 32U;
      const std::size_t end = rest & 0xffffffffU;
      if (first == end) return {};
      const std::size_t count = std::max<std::size_t>(1, (end - first) / 4);
      const std::uint64_t left = from_front ? pack(first + count, end) : pack(first, end - count);
      if (share.rest.compare_exchange_weak(rest, left, std::memory_order_relaxed)) {
        return from_front ? IndexRange{first, first + count} : IndexRange{end - count, end};
      }
    }
  }

  std::vector<Share> shares_;
};

}  // namespace carat
