// GroupSearch for every processor, in registers of four floats, which all have.
#include "quantize/group_search_loops.h"

namespace carat {

struct PlainGroups {
  using Vector = float __attribute__((vector_size(16)));
  using Integers = std::int32_t __attribute__((vector_size(16)));
  using Bytes = std::uint8_t __attribute__((vector_size(4)));
  static constexpr std::size_t kLanes = 4;
  static Vector min(Vector a, Vector b) { return a < b ? a : b; }
  static Vector max(Vector a, Vector b) { return a > b ? a : b; }
  static Vector look_up(const float* table, Integers index) {
    return Vector{table[index[0]], table[index[1]], table[index[2]], table[index[3]]};
  }
};

constinit const GroupSearch plain_group_search = group_search_loops::make_table<PlainGroups>("plain", 0);

}  // namespace carat
