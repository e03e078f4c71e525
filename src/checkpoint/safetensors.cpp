#include "checkpoint/safetensors.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/foreign_file.h"
#include "checkpoint/little_endian.h"
#include "checkpoint/safetensors_header.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWholeName = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kEnding = ".safetensors";
constexpr std::uint64_t kLengthBytes = sizeof(std::uint64_t);
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // as the format's own library has it
constexpr JsonLimits kIndexLimits{.max_depth = 8, .max_bytes = std::size_t{16} << 20};

[[noreturn]] void fail(const File& file, const std::string& problem) {
  throw Error(ErrorKind::kBadFile, str(file.path().string(), ": ", problem));
}

[[noreturn]] void fail_truncated(const File& file, std::uint64_t missing, std::string_view place) {
  fail(file, str("the file ends within ", place, ": ", missing, " bytes are missing behind its ", file.size_bytes(),
                 ". It is incomplete: download it again."));
}

std::string_view header_text(const MappedFile& mapped) {
  const File& file = mapped.file();
  const auto bytes = mapped.bytes();
  if (bytes.size() < kLengthBytes) {
    fail(file, str("not a safetensors file: it has ", bytes.size(), " bytes. ", describe_foreign_file(bytes)));
  }
  const auto length = load_little_endian<std::uint64_t>(bytes, 0);
  if (length > kMaxHeaderBytes) {
    fail(file, str("not a safetensors file: it declares a header of ", length, " bytes, at most ", kMaxHeaderBytes,
                   " are allowed. ", describe_foreign_file(bytes)));
  }
  if (length > bytes.size() - kLengthBytes) {
    fail_truncated(file, length - (bytes.size() - kLengthBytes), "the header");
  }
  const std::string_view text = as_text(bytes.subspan(kLengthBytes, length));
  if (!text.starts_with('{')) {
    fail(file, str("not a safetensors file: its header begins with \"", printable(text.substr(0, 1)),
                   "\", expected \"{\". ", describe_foreign_file(bytes)));
  }
  return text;
}

// entry's bytes are what its type and shape take; whether they lie in the file is checked by read_tensors.
Tensor to_tensor(SafetensorsEntry entry, const File& file) {
  const auto name = printable(entry.name);
  const auto dtype = dtype_from_safetensors_name(entry.dtype);
  if (!dtype) {
    throw Error(ErrorKind::kUnsupported,
                str(file.path().string(), ": tensor ", name, " has dtype ", printable(entry.dtype),
                    ", carat reads F64, F32, F16, BF16, I64, I32, I16 and I8. Get the model in BF16."));
  }
  if (entry.begin > entry.end) {
    fail(file, str("tensor ", name, " has data_offsets [", entry.begin, ", ", entry.end,
                   "]: it ends before it begins. The file is damaged: download it again."));
  }
  const auto bytes = tensor_bytes(*dtype, entry.shape);
  if (!bytes || *bytes != entry.end - entry.begin) {
    fail(file,
         str("tensor ", name, " has ", entry.end - entry.begin, " bytes, expected ",
             bytes ? std::to_string(*bytes) : "more than 64 bits can count", " for shape ", shape_text(entry.shape),
             " of ", printable(entry.dtype), ". The file is damaged: download it again."));
  }
  Tensor tensor;
  tensor.name = std::move(entry.name);
  tensor.dtype = *dtype;
  tensor.shape = std::move(entry.shape);
  tensor.file = &file;
  return tensor;
}

// The tensors of one file, in the order of their data, which they cover without hole, overlap or rest.
std::vector<Tensor> read_tensors(const MappedFile& mapped) {
  const File& file = mapped.file();
  const std::string_view header = header_text(mapped);
  auto entries = parse_safetensors_header(header, file.path().string());
  std::ranges::sort(entries, {}, [](const SafetensorsEntry& e) { return std::pair(e.begin, e.end); });

  const std::uint64_t data_begin = kLengthBytes + header.size();
  const auto data = mapped.bytes().subspan(data_begin);
  std::vector<Tensor> tensors;
  tensors.reserve(entries.size());
  std::uint64_t covered = 0;
  std::string first_cut;  // where the file ends, if it ends too early
  for (SafetensorsEntry& entry : entries) {
    const std::uint64_t begin = entry.begin;
    const std::uint64_t end = entry.end;
    Tensor tensor = to_tensor(std::move(entry), file);
    if (begin != covered) {
      fail(file, str("tensor ", printable(tensor.name), " begins at ", begin, " of the data, expected ", covered,
                     ", where the one before it ends. The file is damaged: download it again."));
    }
    covered = end;
    if (end <= data.size()) {
      tensor.bytes = data.subspan(begin, end - begin);
      tensor.file_offset = data_begin + begin;
    } else if (first_cut.empty()) {
      first_cut = str("tensor ", printable(tensor.name));
    }
    tensors.push_back(std::move(tensor));
  }
  if (covered > data.size()) fail_truncated(file, covered - data.size(), first_cut);
  if (covered < data.size()) {
    fail(file, str("has ", data.size() - covered,
                   " bytes behind the last tensor, expected none. The file is damaged: ", "download it again."));
  }
  return tensors;
}

// Tensor name → shard name, in the order of names.
using WeightMap = std::map<std::string, std::string, std::less<>>;

bool is_plain_file_name(std::string_view name) {
  constexpr std::string_view kSeparators("/\\\0", 3);
  return name.size() > kEnding.size() && name.ends_with(kEnding) && name.find_first_of(kSeparators) == name.npos;
}

WeightMap read_index(const fs::path& index) {
  const std::string where = index.string();
  const json::value document = parse_json_file(index, kIndexLimits);
  const json::object* map = document.is_object() ? find_object(document.get_object(), "weight_map", where) : nullptr;
  if (map == nullptr || map->empty()) {
    throw Error(ErrorKind::kBadFile,
                str(where, ": has no \"weight_map\" that names tensors and their shards. Download it again."));
  }
  WeightMap shards;
  for (const auto& [tensor, shard] : *map) {
    const auto name = shard.is_string() ? std::string_view(shard.get_string()) : std::string_view();
    if (!is_plain_file_name(name)) {
      throw Error(ErrorKind::kBadFile,
                  str(where, ": tensor ", printable(tensor), " has the shard ", printable(json::serialize(shard)),
                      ", expected the name of a .safetensors file in the same folder. Download the index again."));
    }
    shards.emplace(tensor, name);
  }
  return shards;
}

// The files that hold the tensors of path, and for a sharded folder what its index says.
struct Source {
  std::vector<fs::path> files = {};
  fs::path index = {};  // empty where there is none
  WeightMap shards = {};
};

Source find_source(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {{path}};
  if (fs::exists(path / kWholeName, ignored)) return {{path / kWholeName}};
  const fs::path index = path / kIndexName;
  if (!fs::exists(index, ignored)) {
    throw Error(ErrorKind::kNotFound, str(path.string(), ": the folder holds neither ", kWholeName, " nor ", kIndexName,
                                          ". Name a folder with a model, or a .safetensors file."));
  }
  Source source{{}, index, read_index(index)};
  for (const auto& [tensor, shard] : source.shards) source.files.push_back(path / shard);
  std::ranges::sort(source.files);
  source.files.erase(std::unique(source.files.begin(), source.files.end()), source.files.end());
  for (const fs::path& file : source.files) {
    if (fs::exists(file, ignored)) continue;
    throw Error(ErrorKind::kNotFound, str(index.string(), ": names the shard ", printable(file.filename().string()),
                                          ", which is not in the folder. Download it too."));
  }
  return source;
}

// Every tensor the index names has to be in the shard it names.
void check_shards(const Source& source, const Checkpoint& checkpoint) {
  std::size_t missing = 0;
  std::string first;
  for (const auto& [name, shard] : source.shards) {
    const Tensor* tensor = checkpoint.find(name);
    if (tensor != nullptr && tensor->file->path().filename() == shard) continue;
    if (++missing == 1) first = str("tensor ", printable(name), " is not in ", printable(shard));
  }
  if (missing == 0) return;
  throw Error(ErrorKind::kBadFile,
              str(source.index.string(), ": ", first, ", where the index has it",
                  missing > 1 ? str(", and ", missing - 1, " more are not where it says") : std::string(),
                  ". Index and shards do not belong together: download them again."));
}

}  // namespace

Safetensors::Safetensors(const fs::path& path) : path_(path) {
  const Source source = find_source(path);
  files_.reserve(source.files.size());
  for (const fs::path& file : source.files) {
    std::vector<Tensor> tensors = read_tensors(files_.emplace_back(file));
    std::ranges::move(tensors, std::back_inserter(tensors_));
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto [first, is_new] = tensor_index_.emplace(tensors_[i].name, i);
    if (is_new) continue;
    const Tensor& other = tensors_[first->second];
    fail(*other.file,
         str("tensor ", printable(other.name), " stands ",
             other.file == tensors_[i].file ? std::string("in the file twice")
                                            : str("also in ", tensors_[i].file->path().filename().string()),
             ". The model is damaged: download it again."));
  }
  check_shards(source, *this);
}

const Tensor* Safetensors::find(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace carat
