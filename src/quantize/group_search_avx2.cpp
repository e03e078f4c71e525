// GroupSearch for Avx2. Compiled with the flags for it: nothing inline is shared with the rest of carat.
#include <immintrin.h>

#include "kernels/kernel_table.h"
#include "quantize/group_search_loops.h"

namespace carat {

struct Avx2Groups {
  using Vector = float __attribute__((vector_size(32)));
  using Integers = std::int32_t __attribute__((vector_size(32)));
  using Bytes = std::uint8_t __attribute__((vector_size(8)));
  static constexpr std::size_t kLanes = 8;
  static Vector min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  static Vector max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector look_up(const float* table, Integers index) {
    const auto i = reinterpret_cast<__m256i>(index);
    const Vector low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
    const Vector high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
    return index > 7 ? high : low;
  }
};

constinit const GroupSearch avx2_group_search = group_search_loops::make_table<Avx2Groups>("avx2", kAvx2);

}  // namespace carat
