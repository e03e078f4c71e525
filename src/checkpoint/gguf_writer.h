// GgufWriter: writes a GGUF file (version 3, little-endian), for `carat quantize` and for tests that build tiny models.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_type.h"
#include "tensor/dtype.h"

namespace carat {

// The GGUF type that stores a C++ number as it is.
template <typename T>
constexpr GgufType gguf_type_of() {
  if constexpr (std::same_as<T, bool>) return GgufType::kBool;
  if constexpr (std::same_as<T, float>) return GgufType::kFloat32;
  if constexpr (std::same_as<T, double>) return GgufType::kFloat64;
  if constexpr (std::same_as<T, std::uint8_t>) return GgufType::kUint8;
  if constexpr (std::same_as<T, std::int8_t>) return GgufType::kInt8;
  if constexpr (std::same_as<T, std::uint16_t>) return GgufType::kUint16;
  if constexpr (std::same_as<T, std::int16_t>) return GgufType::kInt16;
  if constexpr (std::same_as<T, std::uint32_t>) return GgufType::kUint32;
  if constexpr (std::same_as<T, std::int32_t>) return GgufType::kInt32;
  if constexpr (std::same_as<T, std::uint64_t>) return GgufType::kUint64;
  if constexpr (std::same_as<T, std::int64_t>) return GgufType::kInt64;
  return GgufType::kArray;  // none
}

template <typename T>
concept GgufNumber = gguf_type_of<T>()
!= GgufType::kArray;

// First all keys and the descriptions of all tensors, then the tensors' bytes in the same order, then finish().
//
//     GgufWriter writer("tiny.gguf");
//     writer.add("general.architecture", "gemma4");
//     writer.add_tensor("token_embd.weight", DType::kF32, {512, 48});
//     writer.write(bytes);
//     writer.finish();
//
// The file appears under its name only in finish(), whole; until then it is tiny.gguf.part, which goes with the writer.
// One left over by a process that was killed is written over; one that another process is writing is an error.
// Memory: the metadata, never a tensor. Throws Error: kBadInput for what no reader would accept and where the
// disk is full or the file can't be written.
class GgufWriter {
 public:
  explicit GgufWriter(std::filesystem::path path, std::uint32_t alignment = kGgufDefaultAlignment);
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;
  ~GgufWriter();

  template <GgufNumber T>
  void add(std::string_view key, T value) {
    add_encoded(key, gguf_type_of<T>(), std::as_bytes(std::span<const T>(&value, 1)));
  }
  void add(std::string_view key, std::string_view value);

  template <GgufNumber T>
  void add_array(std::string_view key, std::span<const T> values) {
    add_encoded_array(key, gguf_type_of<T>(), values.size(), std::as_bytes(values));
  }
  template <GgufNumber T>
  void add_array(std::string_view key, const std::vector<T>& values) {
    add_array(key, std::span<const T>(values));
  }
  void add_array(std::string_view key, std::span<const std::string> values);
  void add_array(std::string_view key, const std::vector<bool>& values);
  void add_array(std::string_view key, std::span<const std::string_view> values);

  // Every key of `from` as it stands there, but for those already added and general.alignment.
  void copy_keys(const Gguf& from);

  // shape: outermost first, as in Tensor; its last extent a whole number of blocks.
  void add_tensor(std::string_view name, DType dtype, std::vector<std::uint64_t> shape);

  // The next bytes of the tensor at hand, which must have as many left.
  void write(std::span<const std::byte> bytes);
  void finish();

 private:
  struct Entry {
    std::string name;
    DType dtype;
    std::vector<std::uint64_t> shape;
    std::uint64_t bytes;
    std::uint64_t offset;  // from the start of the data section
  };
  class Output;

  // Holds a name against its rules and those taken already, among which it is from now on.
  void check_name(std::string_view kind, std::string_view name, std::unordered_set<std::string>& taken);
  // value: as the file has it behind the type.
  void add_encoded(std::string_view key, GgufType type, std::span<const std::byte> value);
  void add_encoded_array(std::string_view key, GgufType element, std::uint64_t count,
                         std::span<const std::byte> values);
  void write_header();
  [[noreturn]] void fail(const std::string& problem) const;

  std::filesystem::path path_;
  std::uint32_t alignment_;
  std::unordered_set<std::string> names_;  // of tensors
  std::unordered_set<std::string> keys_;
  std::vector<std::byte> metadata_;  // the keys, encoded
  std::vector<Entry> entries_;
  std::uint64_t data_bytes_ = 0;     // of all tensors with their padding
  std::unique_ptr<Output> output_;   // from the first write on
  std::size_t current_ = 0;          // entry that write() fills
  std::uint64_t current_bytes_ = 0;  // of it written so far
};

}  // namespace carat
