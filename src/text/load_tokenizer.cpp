#include "text/load_tokenizer.h"

#include <array>

#include "base/file.h"
#include "checkpoint/gguf.h"
#include "text/tokenizer_gguf.h"
#include "text/tokenizer_json.h"

namespace carat {
namespace {

bool is_gguf(const std::filesystem::path& path) {
  const File file(path);
  std::array<char, 4> magic{};
  if (file.size_bytes() < magic.size()) return false;
  file.read_at(0, std::as_writable_bytes(std::span(magic)));
  return std::string_view(magic.data(), magic.size()) == "GGUF";
}

}  // namespace

Tokenizer load_tokenizer(const std::filesystem::path& path) {
  std::error_code unreadable;  // is said by opening the file
  if (std::filesystem::is_directory(path, unreadable)) return load_tokenizer_json(path / "tokenizer.json");
  return is_gguf(path) ? tokenizer_from_gguf(Gguf(path)) : load_tokenizer_json(path);
}

}  // namespace carat
