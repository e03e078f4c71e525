#include "checkpoint/foreign_file.h"

#include <array>
#include <string_view>

#include "checkpoint/little_endian.h"

namespace carat {
namespace {

struct Signature {
  std::string_view beginning;
  std::string_view advice;
};

constexpr std::array kSignatures{
    Signature{"GGUF", "It is a GGUF file; name it with the ending .gguf."},
    Signature{"version https://git-lfs",
              "It is a Git LFS pointer, not the model itself; fetch that with `git lfs pull`."},
    Signature{"<!DOCTYPE", "It is a web page; download the file itself, perhaps after signing in."},
    Signature{"<!doctype", "It is a web page; download the file itself, perhaps after signing in."},
    Signature{"<html", "It is a web page; download the file itself, perhaps after signing in."},
    Signature{"PK\x03\x04",
              "It is a zip archive or a PyTorch pickle, which carat does not read; get safetensors or GGUF."},
    Signature{"\x1f\x8b", "It is compressed with gzip; unpack it first."},
    Signature{"\x28\xb5\x2f\xfd", "It is compressed with zstd; unpack it first."},
    Signature{"tjgg", "It is from before GGUF (GGJT); convert the original model again."},
    Signature{"lmgg", "It is from before GGUF (GGML); convert the original model again."},
};

}  // namespace

std::string describe_foreign_file(std::span<const std::byte> bytes) {
  const std::string_view text = as_text(bytes);
  if (text.empty()) return "It is empty; download it again.";
  for (const Signature& signature : kSignatures) {
    if (text.starts_with(signature.beginning)) return std::string(signature.advice);
  }
  if (text.size() > 8 && text[8] == '{' && load_little_endian<std::uint64_t>(bytes, 0) < bytes.size()) {
    return "It looks like safetensors; name it with the ending .safetensors.";
  }
  return "Is it the right file? If so, download it again.";
}

}  // namespace carat
