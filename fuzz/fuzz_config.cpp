// Any bytes as a model's config.json: refused by an Error, or a configuration that keeps its promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "checkpoint/test_files.h"
#include "decoder/kv_cache.h"
#include "decoder/scratch.h"
#include "model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace carat;
  static MemoryFile file;
  file.fill({reinterpret_cast<const char*>(data), size});
  try {
    const DecoderConfig config = config_from_hugging_face(file.path()).decoder;
    for (const LayerConfig& layer : config.layers) {
      if (layer.kv_source > layer.index || !config.layers[layer.kv_source].owns_kv()) std::abort();
      if (config.heads % layer.kv_heads != 0) std::abort();
    }
    Scratch::bytes_needed(config, 1);
    KvCache::bytes_needed(config, {DType::kF16, DType::kF16, config.context_length, 1});
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
