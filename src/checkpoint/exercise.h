// For mutation tests and fuzzers: asks a checkpoint for all it has, so that a sanitizer sees what a file leads to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf.h"
#include "checkpoint/safetensors.h"

namespace carat {

// Reads each tensor at both ends and holds it against what a Tensor promises; returns a sum over the bytes read.
// Throws std::logic_error where a promise is broken.
inline std::uint64_t exercise_tensors(const Checkpoint& checkpoint) {
  std::uint64_t sum = 0;
  for (const Tensor& tensor : checkpoint.tensors()) {
    if (tensor_bytes(tensor.dtype, tensor.shape) != tensor.bytes.size())
      throw std::logic_error("bytes and shape differ");
    if (checkpoint.find(tensor.name) != &tensor) throw std::logic_error("a tensor isn't found by its name");
    const std::uint64_t file_bytes = tensor.file->size_bytes();
    if (tensor.file_offset > file_bytes || tensor.bytes.size() > file_bytes - tensor.file_offset) {
      throw std::logic_error("a tensor lies outside its file");
    }
    if (tensor.rows() * tensor.cols() != tensor.values()) throw std::logic_error("rows, cols and values differ");
    sum += shape_text(tensor.shape).size();
    if (tensor.bytes.empty()) continue;
    sum += std::to_integer<std::uint64_t>(tensor.bytes.front()) + std::to_integer<std::uint64_t>(tensor.bytes.back());
  }
  return sum;
}

// Every accessor on every key: each answers or throws Error.
inline std::uint64_t exercise_metadata(const Gguf& gguf) {
  std::uint64_t sum = 0;
  const auto attempt = [&](const auto& ask) {
    try {
      sum += ask();
    } catch (const Error& error) {
      sum += std::string_view(error.what()).size();
    }
  };
  for (const std::string_view key : gguf.keys()) {
    attempt([&] { return gguf.value_text(key).size() + gguf.value_text(key, 0).size(); });
    attempt([&] { return static_cast<std::uint64_t>(*gguf.integer(key)); });
    attempt([&] { return std::uint64_t{*gguf.number(key) < 0}; });
    attempt([&] { return std::uint64_t{*gguf.boolean(key)}; });
    attempt([&] { return gguf.string(key)->size(); });
    attempt([&] { return gguf.integers(key)->size(); });
    attempt([&] { return gguf.numbers(key)->size(); });
    attempt([&] {
      const auto strings = gguf.strings(key);
      std::uint64_t last_bytes = 0;
      for (const std::string_view text : *strings) last_bytes += text.ends_with('a') ? 1U : 0U;
      return last_bytes;
    });
    attempt([&] { return gguf.encoded(key)->bytes.size() + std::uint64_t{gguf.is_array(key)}; });
  }
  return sum;
}

// True when the file at path is read, false when it is refused by an Error.
inline bool exercise_gguf(const std::filesystem::path& path) {
  try {
    const Gguf gguf(path);
    exercise_metadata(gguf);
    exercise_tensors(gguf);
    return true;
  } catch (const Error&) {
    return false;
  }
}

inline bool exercise_safetensors(const std::filesystem::path& path) {
  try {
    exercise_tensors(Safetensors(path));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace carat
