// Encoding with the smallest weighted square error that a search finds: what `carat quantize` writes. tensor/quantize.h
// has the formats' plain encoders; this is slower, and nearer to the values.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "quantize/group_search.h"
#include "tensor/dtype.h"

namespace carat {

// True for f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k to q6_k, iq4_nl and mxfp4.
bool can_encode_rows(DType dtype);

// Holds the buffers of one thread's work; not to be shared.
class RowEncoder {
 public:
  explicit RowEncoder(const GroupSearch& search = group_search());
  ~RowEncoder();
  RowEncoder(const RowEncoder&) = delete;
  RowEncoder& operator=(const RowEncoder&) = delete;

  // values: whole rows of `cols` values, cols a multiple of the type's block. importance: how much an error in each
  // column counts, [cols], e.g. the mean square of the activations it meets; empty: all alike. out: their blocks, at an
  // even address. Values that are not finite leave their own block without meaning, never a fault.
  void encode(DType dtype, std::span<const float> values, std::size_t cols, std::span<const float> importance,
              std::span<std::byte> out);

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

}  // namespace carat
