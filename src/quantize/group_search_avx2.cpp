// GroupSearch for Avx2. Compiled with the flags for it: nothing inline is shared with the rest of carat.
#include "kernels/kernel_table.h"
#include "quantize/group_search_loops.h"

namespace carat {

struct Avx2Groups {
  using Vector = float __attribute__((vector_size(32)));
  static constexpr std::size_t kLanes = 8;
};

constinit const GroupSearch avx2_group_search = group_search_loops::make_table<Avx2Groups>("avx2", kAvx2);

}  // namespace carat
