// The half of Gguf that answers questions about metadata. The parser has checked that every value is whole.
#include <array>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "checkpoint/little_endian.h"

namespace carat {
namespace {

using Bytes = std::span<const std::byte>;

// Calls body with the number at offset, in its own C++ type. type is an integer, a float or a bool.
template <typename Body>
auto visit_number(GgufType type, Bytes bytes, std::uint64_t offset, const Body& body) {
  switch (type) {
    case GgufType::kInt8:
      return body(load_little_endian<std::int8_t>(bytes, offset));
    case GgufType::kUint16:
      return body(load_little_endian<std::uint16_t>(bytes, offset));
    case GgufType::kInt16:
      return body(load_little_endian<std::int16_t>(bytes, offset));
    case GgufType::kUint32:
      return body(load_little_endian<std::uint32_t>(bytes, offset));
    case GgufType::kInt32:
      return body(load_little_endian<std::int32_t>(bytes, offset));
    case GgufType::kFloat32:
      return body(load_little_endian<float>(bytes, offset));
    case GgufType::kUint64:
      return body(load_little_endian<std::uint64_t>(bytes, offset));
    case GgufType::kInt64:
      return body(load_little_endian<std::int64_t>(bytes, offset));
    case GgufType::kFloat64:
      return body(load_little_endian<double>(bytes, offset));
    default:
      return body(load_little_endian<std::uint8_t>(bytes, offset));  // uint8 and bool
  }
}

double number_at(GgufType type, Bytes bytes, std::uint64_t offset) {
  return visit_number(type, bytes, offset, [](auto value) { return static_cast<double>(value); });
}

// The shortest text that reads back as the same value.
std::string number_text(GgufType type, Bytes bytes, std::uint64_t offset) {
  if (type == GgufType::kBool) return load_little_endian<std::uint8_t>(bytes, offset) != 0 ? "true" : "false";
  return visit_number(type, bytes, offset, [](auto value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return std::string(text.data(), end);
  });
}

std::string_view string_at(Bytes bytes, std::uint64_t offset) {
  const auto length = load_little_endian<std::uint64_t>(bytes, offset);
  return as_text(bytes.subspan(offset + sizeof length, length));
}

// Calls body(text) for count strings, one behind the other from offset, until it returns false.
template <typename Body>
void for_each_string(Bytes bytes, std::uint64_t offset, std::uint64_t count, const Body& body) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string_view text = string_at(bytes, offset);
    if (!body(text)) return;
    offset += sizeof(std::uint64_t) + text.size();
  }
}

}  // namespace

const Gguf::Value* Gguf::find_value(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

const Gguf::Value* Gguf::find_typed(std::string_view key, std::string_view expected,
                                    bool (*is_right)(const Value&)) const {
  const Value* value = find_value(key);
  if (value == nullptr || is_right(*value)) return value;
  throw Error(ErrorKind::kBadFile,
              str(path().string(), ": metadata key ", printable(key), " is ",
                  value->type == GgufType::kArray ? "an array of type " : "a single value of type ",
                  gguf_type_info(value->element).name, ", expected ", expected, ". Convert the model again."));
}

std::int64_t Gguf::integer_at(std::string_view key, const Value& value, std::uint64_t i) const {
  const std::uint64_t offset = value.offset + i * gguf_type_info(value.element).bytes;
  if (value.element == GgufType::kUint64) {
    const auto large = load_little_endian<std::uint64_t>(file_.bytes(), offset);
    if (large > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
      throw Error(ErrorKind::kBadFile, str(path().string(), ": metadata key ", printable(key), " holds ", large,
                                           ", expected less than 2^63. Convert the model again."));
    }
  }
  return visit_number(value.element, file_.bytes(), offset, [](auto n) { return static_cast<std::int64_t>(n); });
}

bool Gguf::has(std::string_view key) const {
  return find_value(key) != nullptr;
}

std::optional<std::int64_t> Gguf::integer(std::string_view key) const {
  const Value* value = find_typed(key, "an integer", [](const Value& v) { return is_integer(v.type); });
  if (value == nullptr) return std::nullopt;
  return integer_at(key, *value, 0);
}

std::optional<double> Gguf::number(std::string_view key) const {
  const auto is_right = [](const Value& v) { return is_float(v.type) || is_integer(v.type); };
  const Value* value = find_typed(key, "a number", is_right);
  if (value == nullptr) return std::nullopt;
  return number_at(value->type, file_.bytes(), value->offset);
}

std::optional<bool> Gguf::boolean(std::string_view key) const {
  const Value* value = find_typed(key, "a bool", [](const Value& v) { return v.type == GgufType::kBool; });
  if (value == nullptr) return std::nullopt;
  return load_little_endian<std::uint8_t>(file_.bytes(), value->offset) != 0;
}

std::optional<std::string_view> Gguf::string(std::string_view key) const {
  const Value* value = find_typed(key, "a string", [](const Value& v) { return v.type == GgufType::kString; });
  if (value == nullptr) return std::nullopt;
  return string_at(file_.bytes(), value->offset);
}

std::optional<std::vector<std::int64_t>> Gguf::integers(std::string_view key) const {
  const auto is_right = [](const Value& v) {
    return v.type == GgufType::kArray && (is_integer(v.element) || v.element == GgufType::kBool);
  };
  const Value* value = find_typed(key, "an array of integers or bools", is_right);
  if (value == nullptr) return std::nullopt;
  std::vector<std::int64_t> integers;
  integers.reserve(value->count);
  for (std::uint64_t i = 0; i < value->count; ++i) integers.push_back(integer_at(key, *value, i));
  return integers;
}

std::optional<std::vector<float>> Gguf::numbers(std::string_view key) const {
  const auto is_right = [](const Value& v) {
    return v.type == GgufType::kArray && (is_float(v.element) || is_integer(v.element));
  };
  const Value* value = find_typed(key, "an array of numbers", is_right);
  if (value == nullptr) return std::nullopt;
  const std::uint32_t stride = gguf_type_info(value->element).bytes;
  std::vector<float> numbers;
  numbers.reserve(value->count);
  for (std::uint64_t i = 0; i < value->count; ++i) {
    numbers.push_back(static_cast<float>(number_at(value->element, file_.bytes(), value->offset + i * stride)));
  }
  return numbers;
}

std::optional<std::vector<std::string_view>> Gguf::strings(std::string_view key) const {
  const auto is_right = [](const Value& v) { return v.type == GgufType::kArray && v.element == GgufType::kString; };
  const Value* value = find_typed(key, "an array of strings", is_right);
  if (value == nullptr) return std::nullopt;
  std::vector<std::string_view> strings;
  strings.reserve(value->count);
  for_each_string(file_.bytes(), value->offset, value->count, [&](std::string_view text) {
    strings.push_back(text);
    return true;
  });
  return strings;
}

std::optional<Gguf::Encoded> Gguf::encoded(std::string_view key) const {
  const Value* value = find_value(key);
  if (value == nullptr) return std::nullopt;
  // An array's elements stand behind their type and their count.
  const std::uint64_t before = value->type == GgufType::kArray ? sizeof(std::uint32_t) + sizeof(std::uint64_t) : 0;
  const std::uint64_t begin = value->offset - before;
  return Encoded{value->type, file_.bytes().subspan(begin, value->end - begin)};
}

bool Gguf::is_array(std::string_view key) const {
  const Value* value = find_value(key);
  return value != nullptr && value->type == GgufType::kArray;
}

std::string Gguf::value_text(std::string_view key, std::size_t max_bytes) const {
  const Value* value = find_value(key);
  if (value == nullptr) return {};
  if (value->type == GgufType::kString) return printable(string_at(file_.bytes(), value->offset), max_bytes);
  if (value->type != GgufType::kArray) return number_text(value->type, file_.bytes(), value->offset);

  std::string text = "[";
  const auto append = [&](const std::string& element) {
    text += (text.size() == 1 ? "" : ", ") + element;
    return text.size() < max_bytes;  // one byte is left for the bracket
  };
  bool fits = true;
  if (value->element == GgufType::kString) {
    for_each_string(file_.bytes(), value->offset, value->count, [&](std::string_view element) {
      return fits = append(str("\"", printable(element, max_bytes), "\""));
    });
  } else {
    const std::uint32_t stride = gguf_type_info(value->element).bytes;
    for (std::uint64_t i = 0; fits && i < value->count; ++i) {
      fits = append(number_text(value->element, file_.bytes(), value->offset + i * stride));
    }
  }
  if (fits) return text + "]";
  return str("[", value->count, " ", gguf_type_info(value->element).name, value->count == 1 ? "]" : "s]");
}

}  // namespace carat
