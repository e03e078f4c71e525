// KvCache: the keys and values of one sequence, layer by layer.
#pragma once

#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "decoder/config.h"
#include "kernels/attention.h"

namespace carat {

struct KvCacheOptions {
  DType sliding_type = DType::kF16;  // kF32, kF16 or kBF16, per kind of layer
  DType global_type = DType::kF16;
  std::size_t context = 0;  // most positions
  std::size_t chunk = 0;    // most tokens written before they are attended to
};

// Sliding layers own a ring that holds the window and the chunk being written; global layers grow by pages; layers
// that read another layer's keys own nothing. Used by one thread at a time.
class KvCache {
 public:
  KvCache(const DecoderConfig& config, const KvCacheOptions& options);

  // Bytes at the full context, as the constructor and grow_to would allocate them.
  static std::size_t bytes_needed(const DecoderConfig& config, const KvCacheOptions& options);

  // Makes room for positions [0, length); length <= options.context. Throws Error(kOutOfMemory); then nothing changed.
  void grow_to(std::size_t length);

  // Pages of the layer whose keys and values layer `layer` reads.
  KvPages pages(std::size_t layer) const;

  // The first position that is still held by every sliding layer once [0, length) has been written.
  std::size_t first_held(std::size_t length) const;

  const KvCacheOptions& options() const { return options_; }

 private:
  struct Layer {
    std::vector<AlignedBuffer<std::byte>> memory;
    std::vector<std::byte*> pages;  // into memory
  };

  void add_page(std::size_t layer);

  const DecoderConfig& config_;
  KvCacheOptions options_;
  std::vector<Layer> layers_;
};

}  // namespace carat
