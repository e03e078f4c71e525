#include "quantize/group_search.h"

#include "kernels/cpu.h"

namespace carat {

const GroupSearch& group_search() {
#if defined(__x86_64__)
  for (const GroupSearch* search : {&avx512_group_search, &avx2_group_search}) {
    if ((search->needs & ~cpu_features()) == 0) return *search;
  }
#endif
  return plain_group_search;
}

}  // namespace carat
