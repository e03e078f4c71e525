// Scratch: every activation buffer of a step, sized once from the configuration and the largest batch.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "decoder/config.h"

namespace carat {

class Scratch {
 public:
  Scratch(const DecoderConfig& config, std::size_t max_rows);
  static std::size_t bytes_needed(const DecoderConfig& config, std::size_t max_rows);

  std::size_t max_rows() const { return max_rows_; }

  AlignedBuffer<float> hidden;       // [rows, hidden]: the residual stream
  AlignedBuffer<float> normed;       // [rows, hidden]
  AlignedBuffer<float> branch;       // [rows, hidden]: output of the block at hand
  AlignedBuffer<float> query;        // [rows, heads * head_dim], then attention's output
  AlignedBuffer<float> key;          // [rows, kv_heads * head_dim]
  AlignedBuffer<float> value;        // [rows, kv_heads * head_dim]
  AlignedBuffer<float> gate;         // [rows, intermediate]
  AlignedBuffer<float> up;           // [rows, intermediate]
  AlignedBuffer<float> cos_sliding;  // [rows, pairs of sliding layers]
  AlignedBuffer<float> sin_sliding;
  AlignedBuffer<float> cos_global;  // [rows, pairs of global layers]
  AlignedBuffer<float> sin_global;
  AlignedBuffer<float> ple;             // [rows, layers * ple_dim]
  AlignedBuffer<float> ple_gate;        // [rows, ple_dim]
  std::vector<std::byte> ple_rows;      // [rows], as they stand in the file; grown when first used
  AlignedBuffer<float> routed;          // [rows, hidden]: the experts' sum
  AlignedBuffer<float> router;          // [rows, experts]
  AlignedBuffer<float> routed_in;       // [rows * used, hidden], sorted by expert
  AlignedBuffer<float> routed_gate_up;  // [rows * used, 2 * intermediate]
  AlignedBuffer<float> routed_out;      // [rows * used, hidden]

 private:
  std::size_t max_rows_;
};

}  // namespace carat
