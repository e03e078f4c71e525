#include "checkpoint/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/unicode.h"
#include "checkpoint/foreign_file.h"
#include "checkpoint/little_endian.h"

namespace carat {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kMagicBytes = 4;
// The fewest bytes a description can take, so that a declared count can be held against the file's size.
constexpr std::uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;         // name, type, value
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;  // name, number of dimensions, type, offset
constexpr std::uint64_t kStringLengthBytes = sizeof(std::uint64_t);

}  // namespace

// One pass over header, metadata and tensor descriptions, then the check of where the tensors lie.
class Gguf::Parser {
 public:
  Parser(Gguf& gguf, const GgufLimits& limits) : gguf_(gguf), bytes_(gguf.file_.bytes()), limits_(limits) {}

  void parse() {
    parse_header();
    for (std::uint64_t i = 0; i < n_keys_; ++i) parse_key(i);
    alignment_ = parse_alignment();
    for (std::uint64_t i = 0; i < n_tensors_; ++i) parse_tensor(i);
    place_tensors();
  }

 private:
  // A tensor's bytes, from the start of the data section.
  struct Extent {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::size_t tensor;
  };

  void parse_header();
  // Holds a declared count against its limit and against what the file can hold.
  void check_count(std::uint64_t count, std::uint64_t limit, std::uint64_t min_bytes, std::string_view things) const;
  void parse_key(std::uint64_t i);
  Value parse_value(GgufType type);
  Value parse_array();
  std::uint64_t parse_alignment();
  void parse_tensor(std::uint64_t i);
  std::vector<std::uint64_t> parse_shape();
  DType parse_dtype();
  std::uint64_t check_bytes(const Tensor& tensor) const;
  void place_tensors();

  // Reading on: the offset moves behind what was read.
  std::uint64_t remaining() const { return bytes_.size() - offset_; }
  std::span<const std::byte> take(std::uint64_t n);
  template <typename T>
  T read() {
    return load_little_endian<T>(take(sizeof(T)), 0);
  }
  std::string_view read_string(std::uint64_t max_bytes);
  std::string_view read_name();
  void check_booleans(std::span<const std::byte> values) const;

  // Throw, naming the file and what is being read.
  [[noreturn]] void fail(const std::string& problem, ErrorKind kind = ErrorKind::kBadFile) const;
  [[noreturn]] void fail_truncated(std::uint64_t missing) const;

  Gguf& gguf_;
  std::span<const std::byte> bytes_;
  GgufLimits limits_;
  std::uint64_t offset_ = 0;
  std::string place_ = "header";  // what is being read, for messages
  std::uint64_t n_tensors_ = 0;
  std::uint64_t n_keys_ = 0;
  std::uint64_t alignment_ = 0;
  std::vector<Extent> extents_;
};

void Gguf::Parser::fail(const std::string& problem, ErrorKind kind) const {
  throw Error(kind, str(gguf_.path().string(), ": ", place_, " ", problem));
}

void Gguf::Parser::fail_truncated(std::uint64_t missing) const {
  throw Error(ErrorKind::kBadFile,
              str(gguf_.path().string(), ": the file ends within ", place_, ": at least ", missing,
                  " bytes are missing behind its ", bytes_.size(), ". It is incomplete: download it again."));
}

std::span<const std::byte> Gguf::Parser::take(std::uint64_t n) {
  if (n > remaining()) fail_truncated(n - remaining());
  const auto taken = bytes_.subspan(offset_, n);
  offset_ += n;
  return taken;
}

std::string_view Gguf::Parser::read_string(std::uint64_t max_bytes) {
  const auto length = read<std::uint64_t>();
  if (length > max_bytes) {
    fail(str("has a text of ", length, " bytes, at most ", max_bytes, " are allowed. The file is damaged: download it ",
             "again."));
  }
  return as_text(take(length));
}

std::string_view Gguf::Parser::read_name() {
  const std::string_view name = read_string(kGgufMaxNameBytes);
  if (name.empty()) fail("has an empty name. The file is damaged: download it again.");
  if (!is_valid_utf8(name)) {
    fail(str("has a name that is not UTF-8, before byte ", offset_, ". The file is damaged: download it again."));
  }
  return name;
}

void Gguf::Parser::parse_header() {
  if (!as_text(bytes_).starts_with(kMagic)) {
    throw Error(ErrorKind::kBadFile,
                str(gguf_.path().string(), ": not a GGUF file: it begins with \"",
                    printable(as_text(bytes_.first(std::min<std::uint64_t>(bytes_.size(), kMagicBytes)))),
                    "\", expected \"GGUF\". ", describe_foreign_file(bytes_)));
  }
  offset_ = kMagicBytes;
  const auto version = read<std::uint32_t>();
  if (version == std::uint32_t{2} << 24 || version == std::uint32_t{3} << 24) {
    fail("says the file is big-endian, carat reads little-endian ones. Get the usual little-endian file.",
         ErrorKind::kUnsupported);
  }
  if (version != 2 && version != 3) {
    fail(str("says version ", version, ", carat reads versions 2 and 3. ",
             version < 2 ? "Convert the original model again." : "Is carat up to date?"),
         ErrorKind::kUnsupported);
  }
  n_tensors_ = read<std::uint64_t>();
  n_keys_ = read<std::uint64_t>();
  check_count(n_keys_, limits_.max_keys, kMinKeyBytes, "metadata keys");
  check_count(n_tensors_, limits_.max_tensors, kMinTensorBytes, "tensors");
  gguf_.key_order_.reserve(n_keys_);
  gguf_.values_.reserve(n_keys_);
  gguf_.tensors_.reserve(n_tensors_);
  gguf_.tensor_index_.reserve(n_tensors_);
  extents_.reserve(n_tensors_);
}

void Gguf::Parser::check_count(std::uint64_t count, std::uint64_t limit, std::uint64_t min_bytes,
                               std::string_view things) const {
  if (count > limit) {
    fail(str("declares ", count, " ", things, ", at most ", limit, " are allowed. The file is damaged: download it ",
             "again."));
  }
  const auto least = checked_mul(count, min_bytes);
  if (!least) fail(str("declares ", count, " ", things, ". The file is damaged: download it again."));
  if (*least > remaining()) fail_truncated(*least - remaining());
}

void Gguf::Parser::parse_key(std::uint64_t i) {
  place_ = str("metadata key ", i + 1, " of ", n_keys_);
  const std::string_view key = read_name();
  place_ = str("metadata key ", printable(key));
  const auto type_id = read<std::uint32_t>();
  const auto type = gguf_type_from_id(type_id);
  if (!type) fail(str("has value type ", type_id, ", expected 0 to 12. The file is damaged: download it again."));
  if (!gguf_.values_.emplace(key, parse_value(*type)).second) {
    fail("stands in the file twice. The file is damaged: download or convert it again.");
  }
  gguf_.key_order_.push_back(key);
}

Gguf::Value Gguf::Parser::parse_value(GgufType type) {
  if (type == GgufType::kArray) return parse_array();
  Value value{type, type, 1, offset_, offset_};
  if (type == GgufType::kString) {
    read_string(limits_.max_string_bytes);
  } else {
    const auto taken = take(gguf_type_info(type).bytes);
    if (type == GgufType::kBool) check_booleans(taken);
  }
  value.end = offset_;
  return value;
}

Gguf::Value Gguf::Parser::parse_array() {
  const auto element_id = read<std::uint32_t>();
  const auto element = gguf_type_from_id(element_id);
  if (!element) {
    fail(str("is an array of value type ", element_id, ", expected 0 to 12. The file is damaged: download it again."));
  }
  if (*element == GgufType::kArray) fail("is an array of arrays, which carat does not read.", ErrorKind::kUnsupported);
  const auto count = read<std::uint64_t>();
  const bool is_string = *element == GgufType::kString;
  const auto least = checked_mul(count, is_string ? kStringLengthBytes : gguf_type_info(*element).bytes);
  if (!least || *least > remaining()) {
    fail(str("declares ", count, " values of type ", gguf_type_info(*element).name, ", the file has ", remaining(),
             " bytes left", least ? str(": at least ", *least - remaining(), " bytes are missing") : std::string(),
             ". It is incomplete or damaged: download it again."));
  }
  Value value{GgufType::kArray, *element, count, offset_, offset_};
  if (is_string) {
    for (std::uint64_t i = 0; i < count; ++i) read_string(limits_.max_string_bytes);
  } else {
    const auto taken = take(*least);
    if (*element == GgufType::kBool) check_booleans(taken);
  }
  value.end = offset_;
  return value;
}

void Gguf::Parser::check_booleans(std::span<const std::byte> values) const {
  const auto wrong = std::ranges::find_if(values, [](std::byte b) { return b > std::byte{1}; });
  if (wrong == values.end()) return;
  fail(str("has a bool stored as ", std::to_integer<int>(*wrong),
           ", expected 0 or 1. The file is damaged: download it again."));
}

std::uint64_t Gguf::Parser::parse_alignment() {
  const Value* value = gguf_.find_value(kGgufAlignmentKey);
  if (value == nullptr) return kGgufDefaultAlignment;
  place_ = str("metadata key ", kGgufAlignmentKey);
  if (value->type != GgufType::kUint32) {
    fail(str("has type ", gguf_type_info(value->type).name, ", expected uint32. Convert the model again."));
  }
  const auto alignment = load_little_endian<std::uint32_t>(bytes_, value->offset);
  if (!std::has_single_bit(alignment) || alignment < kGgufMinAlignment || alignment > kGgufMaxAlignment) {
    fail(str("is ", alignment, ", expected a power of two from ", kGgufMinAlignment, " to ", kGgufMaxAlignment,
             ". Convert the model again."));
  }
  return alignment;
}

void Gguf::Parser::parse_tensor(std::uint64_t i) {
  place_ = str("description of tensor ", i + 1, " of ", n_tensors_);
  const std::string_view name = read_name();
  place_ = str("tensor ", printable(name));
  if (!gguf_.tensor_index_.emplace(name, gguf_.tensors_.size()).second) {
    fail("stands in the file twice. The file is damaged: download or convert it again.");
  }
  Tensor tensor;
  tensor.name = name;
  tensor.shape = parse_shape();
  tensor.dtype = parse_dtype();
  const std::uint64_t bytes = check_bytes(tensor);
  const auto offset = read<std::uint64_t>();
  if (offset % alignment_ != 0) {
    fail(str("has offset ", offset, ", expected a multiple of the alignment ", alignment_,
             ". The file is damaged: download or convert it again."));
  }
  extents_.push_back({offset, bytes, gguf_.tensors_.size()});
  gguf_.tensors_.push_back(std::move(tensor));
}

// The file has the fastest dimension first, a Tensor the slowest.
std::vector<std::uint64_t> Gguf::Parser::parse_shape() {
  const auto n_dims = read<std::uint32_t>();
  if (n_dims > kGgufMaxDims) {
    fail(str("has ", n_dims, " dimensions, at most ", kGgufMaxDims,
             " are allowed. The file is damaged: download it again."));
  }
  std::vector<std::uint64_t> shape(n_dims);
  for (auto dim = shape.rbegin(); dim != shape.rend(); ++dim) *dim = read<std::uint64_t>();
  if (std::ranges::find(shape, std::uint64_t{0}) != shape.end()) {
    fail(
        str("has shape ", shape_text(shape), ", expected dimensions above 0. The file is damaged: download it again."));
  }
  return shape;
}

DType Gguf::Parser::parse_dtype() {
  const auto id = read<std::uint32_t>();
  const auto dtype = dtype_from_gguf_id(id);
  if (!dtype) {
    fail(str("has element type ", id, ", which carat does not know: retired, newer than carat, or damaged. ",
             "Get the model in a common type such as Q4_0, Q4_K_M or Q8_0."),
         ErrorKind::kUnsupported);
  }
  return *dtype;
}

std::uint64_t Gguf::Parser::check_bytes(const Tensor& tensor) const {
  const DTypeInfo& info = dtype_info(tensor.dtype);
  if (tensor.cols() % info.block_values != 0) {
    fail(str("has shape ", shape_text(tensor.shape), " and type ", info.name, ": rows of ", tensor.cols(),
             " values, expected a multiple of ", info.block_values,
             ". The file is damaged or badly converted: get it again."));
  }
  const auto bytes = tensor_bytes(tensor.dtype, tensor.shape);
  if (!bytes) {
    fail(str("has shape ", shape_text(tensor.shape),
             ": more bytes than 64 bits can count. The file is damaged: ", "download it again."));
  }
  return *bytes;
}

void Gguf::Parser::place_tensors() {
  if (extents_.empty()) return;
  const std::uint64_t data_begin = *checked_align(offset_, alignment_);  // offset_ <= the file's size
  std::ranges::sort(extents_, {}, &Extent::offset);
  std::uint64_t end = data_begin;  // of the tensors so far, in the file
  std::string first_cut;           // where the file ends, if it ends too early
  for (const Extent& extent : extents_) {
    place_ = str("tensor ", printable(gguf_.tensors_[extent.tensor].name));
    const auto begin = checked_add(data_begin, extent.offset);
    const auto next = begin ? checked_add(*begin, extent.bytes) : begin;
    if (!next) {
      fail(str("has offset ", extent.offset, " and ", extent.bytes,
               " bytes: beyond what 64 bits can count. The file is damaged: download it again."));
    }
    if (*begin < end) {
      fail(str("begins at offset ", extent.offset, ", inside the tensor before it, which ends at ", end - data_begin,
               ". The file is damaged: download or convert it again."));
    }
    end = *next;
    if (end > bytes_.size() && first_cut.empty()) first_cut = place_;
  }
  if (!first_cut.empty()) {
    place_ = first_cut;
    fail_truncated(end - bytes_.size());
  }
  for (const Extent& extent : extents_) {
    Tensor& tensor = gguf_.tensors_[extent.tensor];
    tensor.file = &gguf_.file_.file();
    tensor.file_offset = data_begin + extent.offset;
    tensor.bytes = bytes_.subspan(tensor.file_offset, extent.bytes);
  }
}

bool is_gguf_file(const std::filesystem::path& path) {
  const File file(path);
  std::array<char, kMagicBytes> magic{};
  if (file.size_bytes() < magic.size()) return false;
  file.read_at(0, std::as_writable_bytes(std::span(magic)));
  return std::string_view(magic.data(), magic.size()) == kMagic;
}

Gguf::Gguf(const std::filesystem::path& path, GgufLimits limits) : file_(path) {
  Parser(*this, limits).parse();
}

const Tensor* Gguf::find(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace carat
