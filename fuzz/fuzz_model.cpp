// Any bytes as a GGUF model, as far as `carat show` goes: configuration, weights by role, tokenizer, template.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "checkpoint/test_files.h"
#include "model/model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace carat;
  static MemoryFile file;
  file.fill({reinterpret_cast<const char*>(data), size});
  try {
    const auto model = Model::load(file.path());
    if (model->has_tokenizer()) model->tokenizer();
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
