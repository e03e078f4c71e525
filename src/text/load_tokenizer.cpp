#include "text/load_tokenizer.h"

#include <system_error>

#include "checkpoint/gguf.h"
#include "text/tokenizer_gguf.h"
#include "text/tokenizer_json.h"

namespace carat {

Tokenizer load_tokenizer(const std::filesystem::path& path) {
  std::error_code unreadable;  // is said by opening the file
  if (std::filesystem::is_directory(path, unreadable)) return load_tokenizer_json(path / "tokenizer.json");
  return is_gguf_file(path) ? tokenizer_from_gguf(Gguf(path)) : load_tokenizer_json(path);
}

}  // namespace carat
