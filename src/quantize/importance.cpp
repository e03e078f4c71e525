#include "quantize/importance.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "checkpoint/gguf_writer.h"

namespace carat {
namespace {

constexpr std::string_view kSquares = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

std::vector<float> floats_of(const Gguf& gguf, const Tensor& tensor) {
  if (tensor.dtype != DType::kF32) {
    throw Error(ErrorKind::kBadFile, str(gguf.path().string(), ": tensor ", printable(tensor.name), " is ",
                                         dtype_info(tensor.dtype).name, ", expected f32."));
  }
  std::vector<float> values(tensor.values());
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

}  // namespace

Importance Importance::load(const std::filesystem::path& path) {
  const Gguf gguf(path);
  Importance importance;
  for (const Tensor& tensor : gguf.tensors()) {
    const std::string_view name = tensor.name;
    if (!name.ends_with(kSquares)) continue;
    const std::string base(name.substr(0, name.size() - kSquares.size()));
    const Tensor* counts = gguf.find(base + std::string(kCounts));
    if (counts == nullptr || counts->values() != tensor.rows()) {
      throw Error(ErrorKind::kBadFile, str(path.string(), ": tensor ", printable(base), kCounts,
                                           " is missing or has another size than ", printable(base), kSquares, "."));
    }
    importance.sums_[base] = {floats_of(gguf, tensor), floats_of(gguf, *counts)};
  }
  if (importance.sums_.empty()) {
    throw Error(ErrorKind::kBadFile, str(path.string(), ": holds no importance matrix. `carat imatrix` makes one."));
  }
  return importance;
}

void Importance::save(const std::filesystem::path& path, std::string_view text_name, std::uint32_t chunks,
                      std::uint32_t chunk_tokens) const {
  GgufWriter writer(path);
  writer.add("general.type", "imatrix");
  const std::vector<std::string> texts{std::string(text_name)};
  writer.add_array("imatrix.datasets", std::span<const std::string>(texts));
  writer.add("imatrix.chunk_count", chunks);
  writer.add("imatrix.chunk_size", chunk_tokens);
  for (const auto& [name, sums] : sums_) {
    const std::uint64_t matrices = sums.counts.size();
    writer.add_tensor(name + std::string(kSquares), DType::kF32, {matrices, sums.squares.size() / matrices});
    writer.add_tensor(name + std::string(kCounts), DType::kF32, {matrices, 1});
  }
  for (const auto& [name, sums] : sums_) {
    writer.write(std::as_bytes(std::span(sums.squares)));
    writer.write(std::as_bytes(std::span(sums.counts)));
  }
  writer.finish();
}

std::vector<float> Importance::mean_squares(const std::string& tensor, std::size_t matrix, std::size_t cols) const {
  const auto found = sums_.find(tensor);
  if (found == sums_.end()) return {};
  const ColumnSums& sums = found->second;
  if (matrix >= sums.counts.size() || sums.squares.size() != sums.counts.size() * cols) return {};
  const float count = sums.counts[matrix];
  const auto first = sums.squares.begin() + static_cast<std::ptrdiff_t>(matrix * cols);
  std::vector<float> means(first, first + static_cast<std::ptrdiff_t>(cols));
  float total = 0;
  for (const float x : means) {
    if (!(x >= 0) || !std::isfinite(x)) return {};
    total += x;
  }
  if (!(count > 0) || !(total > 0)) return {};  // an expert that no token went to
  // A column that met nothing at all still has to be told apart from noise: a small share of the average.
  const float floor = 1e-4F * total / static_cast<float>(cols);
  for (float& x : means) x = std::max(x, floor) / count;
  return means;
}

}  // namespace carat
