// Any bytes as a GGUF file: read in full or refused by an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint/exercise.h"
#include "checkpoint/test_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static carat::MemoryFile file;
  file.fill({reinterpret_cast<const char*>(data), size});
  carat::exercise_gguf(file.path());
  return 0;
}
