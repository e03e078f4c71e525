// GroupSearch for Avx512. Compiled with the flags for it: nothing inline is shared with the rest of carat.
#include "kernels/kernel_table.h"
#include "quantize/group_search_loops.h"

namespace carat {

struct Avx512Groups {
  using Vector = float __attribute__((vector_size(64)));
  static constexpr std::size_t kLanes = 16;
};

constinit const GroupSearch avx512_group_search =
    group_search_loops::make_table<Avx512Groups>("avx512", kAvx2 | kAvx512);

}  // namespace carat
