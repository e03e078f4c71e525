// Golden data of the tests: named tensors from a small safetensors file, and how close to them a result has to be.
// For tests only; models are read by checkpoint/safetensors.h, which tests check against this.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/float16.h"
#include "base/json.h"

namespace carat::golden {

static_assert(std::endian::native == std::endian::little, "golden files are little-endian and read as they stand");

// One of the two vectors holds the values, row by row; the other one is empty.
struct Tensor {
  std::vector<std::size_t> shape;  // outermost first
  std::vector<float> floats;       // of F32 and BF16
  std::vector<std::int32_t> ints;  // of I32 and U8
};

// The tensors of a file by name. Asking for what isn't there throws Error(kNotFound) that lists what is.
class Tensors {
 public:
  Tensors(std::string file, std::map<std::string, Tensor, std::less<>> tensors)
      : file_(std::move(file)), tensors_(std::move(tensors)) {}

  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }

  const Tensor& at(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found != tensors_.end()) return found->second;
    std::string names;
    for (const auto& [other, tensor] : tensors_) names += (names.empty() ? "" : ", ") + other;
    throw Error(ErrorKind::kNotFound, str(file_, ": no tensor ", name, "; there are: ", names, "."));
  }

  const std::vector<std::size_t>& shape(std::string_view name) const { return at(name).shape; }

  // The values of a tensor of floats, or of integers. Throw Error(kBadFile) when it is one of the others.
  const std::vector<float>& floats(std::string_view name) const {
    const Tensor& tensor = at(name);
    if (!tensor.ints.empty()) throw_wrong_kind(name, "integers", "floats");
    return tensor.floats;
  }
  const std::vector<std::int32_t>& ints(std::string_view name) const {
    const Tensor& tensor = at(name);
    if (!tensor.floats.empty()) throw_wrong_kind(name, "floats", "integers");
    return tensor.ints;
  }

  auto begin() const { return tensors_.begin(); }
  auto end() const { return tensors_.end(); }
  std::size_t size() const { return tensors_.size(); }

 private:
  [[noreturn]] void throw_wrong_kind(std::string_view name, std::string_view found, std::string_view asked) const {
    throw Error(ErrorKind::kBadFile,
                str(file_, ": tensor ", name, " holds ", found, ", the test asks for ", asked, "."));
  }

  std::string file_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

namespace detail {

template <typename T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

inline const json::value& member(const json::object& object, std::string_view key, const std::string& where) {
  const json::value* value = find_member(object, key);
  if (value == nullptr) throw Error(ErrorKind::kBadFile, str(where, ": \"", key, "\" is missing."));
  return *value;
}

inline std::vector<std::size_t> sizes(const json::value& value, std::string_view key, const std::string& where) {
  std::vector<std::size_t> result;
  const json::array* array = value.if_array();
  if (array == nullptr) throw Error(ErrorKind::kBadFile, str(where, ": \"", key, "\" is not an array."));
  for (const json::value& item : *array) {
    json::error_code code;
    result.push_back(item.to_number<std::size_t>(code));
    if (code) throw Error(ErrorKind::kBadFile, str(where, ": \"", key, "\" holds something other than sizes."));
  }
  return result;
}

// entry: the header's {"dtype", "shape", "data_offsets"}; data: all that follows the header.
inline Tensor tensor_of(const json::object& entry, std::span<const std::byte> data, const std::string& where) {
  Tensor tensor;
  tensor.shape = sizes(member(entry, "shape", where), "shape", where);
  const auto offsets = sizes(member(entry, "data_offsets", where), "data_offsets", where);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data.size()) {
    throw Error(ErrorKind::kBadFile,
                str(where, ": data_offsets don't lie in the file's ", data.size(), " data bytes."));
  }
  const auto bytes = data.subspan(offsets[0], offsets[1] - offsets[0]);

  const std::string_view dtype = find_string(entry, "dtype", where).value_or("");
  const std::size_t value_bytes = dtype == "F32" || dtype == "I32" ? 4 : dtype == "BF16" ? 2 : dtype == "U8" ? 1 : 0;
  if (value_bytes == 0) {
    throw Error(ErrorKind::kUnsupported,
                str(where, ": dtype \"", printable(dtype), "\"; golden files hold F32, BF16, I32 and U8."));
  }
  const auto values = checked_product(std::vector<std::uint64_t>(tensor.shape.begin(), tensor.shape.end()));
  if (!values || checked_mul(*values, value_bytes) != bytes.size()) {
    throw Error(ErrorKind::kBadFile,
                str(where, ": ", bytes.size(), " bytes don't fit its shape and dtype ", dtype, "."));
  }

  if (dtype == "F32") tensor.floats = values_of<float>(bytes);
  if (dtype == "I32") tensor.ints = values_of<std::int32_t>(bytes);
  if (dtype == "U8") {
    for (const std::byte x : bytes) tensor.ints.push_back(std::to_integer<std::int32_t>(x));
  }
  if (dtype == "BF16") {
    for (const std::uint16_t bits : values_of<std::uint16_t>(bytes)) tensor.floats.push_back(to_float(BF16{bits}));
  }
  return tensor;
}

}  // namespace detail

// Reads a safetensors file whole. Throws Error (kNotFound, kBadFile, kUnsupported) naming the file and the tensor.
// Format: the header's length as 8 bytes, the header {name: {dtype, shape, data_offsets}}, the data.
inline Tensors load(const std::filesystem::path& path) {
  const MappedFile mapping(path);
  const auto bytes = mapping.bytes();
  std::uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes)) {
    throw Error(ErrorKind::kBadFile,
                str(path.string(), ": ", bytes.size(), " bytes are too few for a safetensors file."));
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  const auto rest = bytes.subspan(sizeof(header_bytes));
  if (header_bytes > rest.size()) {
    throw Error(ErrorKind::kBadFile, str(path.string(), ": the header claims ", header_bytes, " bytes, the file has ",
                                         rest.size(), " after its length."));
  }
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), header_bytes);
  const json::value header = parse_json(text, path.string(), ErrorKind::kBadFile);
  if (!header.is_object()) throw Error(ErrorKind::kBadFile, path.string() + ": the header is not a JSON object.");

  std::map<std::string, Tensor, std::less<>> tensors;
  for (const auto& [key, entry] : header.get_object()) {
    const std::string name(key);
    if (name == "__metadata__") continue;
    const std::string where = path.string() + ": tensor " + printable(name);
    if (!entry.is_object()) throw Error(ErrorKind::kBadFile, where + ": its header entry is not an object.");
    tensors.emplace(name, detail::tensor_of(entry.get_object(), rest.subspan(header_bytes), where));
  }
  return {path.string(), std::move(tensors)};
}

// How far actual may be from expected: absolute + relative_to_max * max|expected|, the maximum over finite values.
struct Tolerance {
  double absolute = 0.0;
  double relative_to_max = 0.0;
};

// Empty when every value is within the tolerance (NaN matches nothing, equal infinities match); otherwise a sentence
// with the number of mismatches and the worst one. Made for EXPECT_EQ(mismatch(actual, expected, {...}), "").
inline std::string mismatch(std::span<const float> actual, std::span<const float> expected, Tolerance tolerance) {
  if (actual.size() != expected.size()) {
    return str("has ", actual.size(), " values, expected ", expected.size());
  }
  double max = 0.0;
  for (const float x : expected) {
    if (std::isfinite(x)) max = std::max(max, std::abs(static_cast<double>(x)));
  }
  const double allowed = tolerance.absolute + tolerance.relative_to_max * max;

  std::size_t mismatches = 0;
  std::size_t worst = 0;
  double worst_difference = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] == expected[i]) continue;
    const double difference = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
    if (difference <= allowed) continue;
    ++mismatches;
    if (mismatches == 1 || difference > worst_difference || std::isnan(difference)) {
      worst = i;
      worst_difference = difference;
    }
  }
  if (mismatches == 0) return "";
  std::ostringstream text;
  text.precision(9);
  text << mismatches << " of " << actual.size() << " values differ by more than " << allowed << "; worst is [" << worst
       << "]: " << actual[worst] << ", expected " << expected[worst] << " (difference " << worst_difference << ')';
  return text.str();
}

}  // namespace carat::golden
