// Any bytes as a safetensors file: read in full or refused by an Error. A second form of the same bytes, as a header
// with its length before it and data behind, gets past the length, which random changes mostly break.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint/exercise.h"
#include "checkpoint/test_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static carat::MemoryFile file;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with('{')) {
    file.fill(carat::Bytes().text(bytes).zeros(40).bytes);
  } else {
    file.fill(bytes);
  }
  carat::exercise_safetensors(file.path());
  return 0;
}
