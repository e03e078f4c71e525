// Gguf: reads a GGUF file (versions 2 and 3, little-endian). Every count, length, offset and product of dimensions is
// held against the file's size before it is used. Format: docs/gguf.md of the ggml project.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_type.h"

namespace carat {

// Limits on what a file may declare.
struct GgufLimits {
  std::uint64_t max_tensors = 65'535;
  std::uint64_t max_keys = 65'535;
  std::uint64_t max_string_bytes = std::uint64_t{16} << 20;
};

// True when the file begins as a GGUF file does. Throws Error as File.
bool is_gguf_file(const std::filesystem::path& path);

class Gguf final : public Checkpoint {
 public:
  // Throws Error: kNotFound; kBadFile naming file, tensor or key, expected and found; kUnsupported for another version,
  // a big-endian file or an unknown element type.
  explicit Gguf(const std::filesystem::path& path, GgufLimits limits = {});
  Gguf(const Gguf&) = delete;  // its tensors point to its file
  Gguf& operator=(const Gguf&) = delete;
  ~Gguf() override = default;

  const Tensor* find(std::string_view name) const override;
  const std::vector<Tensor>& tensors() const override { return tensors_; }
  const std::filesystem::path& path() const override { return file_.file().path(); }
  std::uint64_t file_bytes() const { return file_.file().size_bytes(); }

  // Metadata. Each is nullopt where the key is absent, and throws Error(kBadFile) naming the key where its type is
  // another. Integers of any width and sign are accepted where they fit; numbers may be integers too.
  bool has(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> string(std::string_view key) const;             // into the mapping
  std::optional<std::vector<std::int64_t>> integers(std::string_view key) const;  // booleans count as 0 and 1
  std::optional<std::vector<float>> numbers(std::string_view key) const;
  std::optional<std::vector<std::string_view>> strings(std::string_view key) const;
  // True when the key holds an array (integers() and its like), false when a single value.
  bool is_array(std::string_view key) const;

  // For listings: keys in the file's order, and a short rendering of a value in valid UTF-8: strings without quotes and
  // cut to max_bytes, arrays in full where they fit, else as "[262144 strings]". Empty where the key is absent.
  const std::vector<std::string_view>& keys() const { return key_order_; }
  std::string value_text(std::string_view key, std::size_t max_bytes = 80) const;

  // For writers that copy: a value's type and the bytes behind it, as they stand in the file.
  struct Encoded {
    GgufType type;
    std::span<const std::byte> bytes;
  };
  std::optional<Encoded> encoded(std::string_view key) const;

 private:
  class Parser;

  // Where a value lies in the file, checked to be whole.
  struct Value {
    GgufType type;
    GgufType element;      // of an array
    std::uint64_t count;   // elements of an array, 1 otherwise
    std::uint64_t offset;  // of the first byte of the value or first element
    std::uint64_t end;     // one behind its last byte
  };

  const Value* find_value(std::string_view key) const;
  // The value of key where is_right(value) holds, null where the key is absent; else throws, naming what is expected.
  const Value* find_typed(std::string_view key, std::string_view expected, bool (*is_right)(const Value&)) const;
  // Element i of an integer or a list of integers or bools; throws where it is beyond int64.
  std::int64_t integer_at(std::string_view key, const Value& value, std::uint64_t i) const;

  MappedFile file_;
  std::vector<std::string_view> key_order_;
  std::unordered_map<std::string_view, Value> values_;
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

}  // namespace carat
