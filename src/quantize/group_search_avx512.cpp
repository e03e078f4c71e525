// GroupSearch for Avx512. Compiled with the flags for it: nothing inline is shared with the rest of carat.
#include <immintrin.h>

#include "kernels/kernel_table.h"
#include "quantize/group_search_loops.h"

namespace carat {

struct Avx512Groups {
  using Vector = float __attribute__((vector_size(64)));
  using Integers = std::int32_t __attribute__((vector_size(64)));
  using Bytes = std::uint8_t __attribute__((vector_size(16)));
  static constexpr std::size_t kLanes = 16;
  static Vector min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static Vector max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static Vector look_up(const float* table, Integers index) {
    return _mm512_permutexvar_ps(reinterpret_cast<__m512i>(index), _mm512_loadu_ps(table));
  }
};

constinit const GroupSearch avx512_group_search =
    group_search_loops::make_table<Avx512Groups>("avx512", kAvx2 | kAvx512);

}  // namespace carat
