// GroupSearch for every processor, in registers of four floats, which all have.
#include "quantize/group_search_loops.h"

namespace carat {

struct PlainGroups {
  using Vector = float __attribute__((vector_size(16)));
  static constexpr std::size_t kLanes = 4;
};

constinit const GroupSearch plain_group_search = group_search_loops::make_table<PlainGroups>("plain", 0);

}  // namespace carat
