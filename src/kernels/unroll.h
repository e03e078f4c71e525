// unroll<N>(f): f(Index<0>), ..., f(Index<N - 1>), so that arrays of registers are indexed by constants and shift
// counts are immediate. F is a lambda of a template over an ISA, whose name this instance carries on.
#pragma once

#include <cstddef>

namespace carat {

template <std::size_t kIndex>
struct Index {
  static constexpr std::size_t kValue = kIndex;
};

template <std::size_t kCount, typename F>
[[gnu::always_inline]] inline void unroll(const F& f) {
  if constexpr (kCount > 0) {
    unroll<kCount - 1>(f);
    f(Index<kCount - 1>{});
  }
}

}  // namespace carat
