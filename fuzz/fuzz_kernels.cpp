// Any bytes as weights and activations: every kernel table that runs here gives the same bits as the reference,
// whatever the numbers are (products of floats with NaN or infinity among them: both are not finite).
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <vector>

#include "kernels/cpu.h"
#include "kernels/matmul.h"
#include "tensor/dtype.h"

namespace {

using namespace carat;

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                            DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                            DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

// Bytes for ever, from the input over and over.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t next() {
    const std::size_t at = at_++;
    return static_cast<std::uint8_t>(data_[at % size_] + at / size_);  // no round is like the one before
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

bool agree(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (!std::isfinite(a) && !std::isfinite(b));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const DType dtype = kTypes[data[0] % std::size(kTypes)];
  const std::size_t block = dtype_info(dtype).block_values;
  const std::size_t rows = 1 + data[1] % 35;
  const std::size_t tokens = 1 + data[2] % 9;
  const std::size_t cols = block == 1 ? 1 + data[3] % 70 : block * (1 + data[3] % 3);
  const auto activations = (data[3] & 128) != 0 ? ActivationType::kI8 : ActivationType::kF32;
  Bytes bytes(data, size);
  const std::size_t row_size = row_bytes(dtype, cols).value();
  std::vector<std::byte> weights(rows * row_size);
  for (std::byte& byte : weights) byte = static_cast<std::byte>(bytes.next());
  std::vector<float> x(tokens * cols);
  for (float& value : x) value = static_cast<float>(static_cast<std::int8_t>(bytes.next())) / 16;
  if ((data[2] & 128) != 0) {  // or any floats
    for (float& value : x) {
      const std::uint32_t bits = bytes.next() | std::uint32_t{bytes.next()} << 8 | std::uint32_t{bytes.next()} << 16 |
                                 std::uint32_t{bytes.next()} << 24;
      value = std::bit_cast<float>(bits);
    }
  }

  static ThreadPool pool(1);
  const WeightMatrix matrix{dtype, weights.data(), rows, cols, row_size};
  const MatView<const float> x_view(x.data(), tokens, cols);
  std::vector<float> expected(tokens * rows);
  Matmul reference(select_kernels("reference"), pool, activations);
  reference(x_view, matrix, {expected.data(), tokens, rows});
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    std::vector<float> found(tokens * rows);
    Matmul matmul(*kernels, pool, activations);
    matmul(x_view, matrix, {found.data(), tokens, rows});
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!agree(found[i], expected[i])) std::abort();
    }
  }
  return 0;
}
