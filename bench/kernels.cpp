// Speed of the kernels that the forward pass spends its time in, for every table that runs here, on one core:
//     bench_kernels --benchmark_filter=avx2/q4_0
// "bytes" is the rate at which weights are read as they stand in the file: with one token, what the memory has to
// deliver. "MAC" counts multiply-adds of weights and activations.
// "memory" is what all physical cores together read of memory in huge pages, doing nothing else.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "kernels/cpu.h"
#include "kernels/kernel_table.h"
#include "tensor/dtype.h"

namespace carat {
namespace {

// Columns unpacked at a time and how far ahead weights are prefetched, as in kernels/matmul.cpp.
constexpr std::size_t kColsI8 = 2048;
constexpr std::size_t kColsF32 = 512;
constexpr std::size_t kPrefetchBytes = 32768;

struct Case {
  const KernelTable* kernels;
  DType dtype;
  std::size_t cols;
  std::size_t tokens;
  bool with_floats;  // weights are unpacked to floats
};

// Random weights: few tokens get more of them than the caches hold.
AlignedBuffer<std::byte> random_weights(const Case& c, std::size_t& rows) {
  const std::size_t bytes_per_row = *row_bytes(c.dtype, c.cols);
  const std::size_t size = c.tokens <= 8 ? std::size_t{256} << 20 : std::size_t{2} << 20;
  rows = std::max<std::size_t>(size / bytes_per_row / kPanelRows, 1) * kPanelRows;
  AlignedBuffer<std::byte> weights(rows * bytes_per_row, "weights");
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i + 8 <= weights.size(); i += 8) {
    const std::uint64_t bits = random() & 0x3f3f3f3f3f3f3f3fU;  // no NaN or infinity, whatever is read as a float
    std::memcpy(weights.data() + i, &bits, sizeof(bits));
  }
  return weights;
}

void multiply(benchmark::State& state, const Case& c) {
  std::size_t rows = 0;
  const AlignedBuffer<std::byte> weights = random_weights(c, rows);
  const std::size_t bytes_per_row = *row_bytes(c.dtype, c.cols);
  const auto type = static_cast<std::size_t>(c.dtype);

  std::vector<float> x(c.tokens * c.cols);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (float& value : x) value = normal(random);
  std::vector<std::int8_t> x_codes(x.size());
  std::vector<float> x_scales(x.size() / kActivationBlock);
  std::vector<std::int32_t> x_sums(x.size() / kActivationHalf);
  c.kernels->quantize_i8(x.data(), x.size(), x_codes.data(), x_scales.data(), x_sums.data());

  AlignedBuffer<float> panel_f32(kColsF32 * kPanelRows, "panel");
  AlignedBuffer<std::uint8_t> codes(kColsI8 * kPanelRows, "codes");
  AlignedBuffer<float> scales(kColsI8 / kActivationHalf * kPanelRows, "scales");
  AlignedBuffer<float> minimums(scales.size(), "minimums");
  AlignedBuffer<float> acc(c.tokens * kPanelRows, "sums");
  const PanelI8 panel{codes.data(), scales.data(), minimums.data()};
  const PanelFormat& format = panel_format(c.dtype);

  const std::size_t panel_bytes = kPanelRows * bytes_per_row;
  const std::size_t ahead = (kPrefetchBytes + panel_bytes - 1) / panel_bytes * panel_bytes;
  std::size_t row = 0;
  std::size_t panels = 0;
  for ([[maybe_unused]] auto _ : state) {
    const std::byte* first = weights.data() + row * bytes_per_row;
    const WeightRows source{first, bytes_per_row, kPanelRows, first + ahead};
    std::memset(acc.data(), 0, acc.size_bytes());
    const bool is_direct = c.with_floats ? c.tokens == 1 && c.kernels->gemv_f32[type] != nullptr
                                         : c.tokens <= c.kernels->gemv_tokens[type];
    if (is_direct && c.with_floats) {
      c.kernels->gemv_f32[type](source, c.cols, x.data(), acc.data());
    } else if (is_direct) {
      c.kernels->gemv_i8[type](source, c.cols, {x_codes.data(), x_scales.data(), x_sums.data(), c.cols}, c.tokens,
                               acc.data(), kPanelRows);
    }
    const std::size_t step = c.with_floats ? kColsF32 : kColsI8;
    for (std::size_t col = is_direct ? c.cols : 0; col < c.cols; col += step) {
      const std::size_t cols = std::min(step, c.cols - col);
      if (c.with_floats) {
        c.kernels->unpack_f32[type](source, col, cols, panel_f32.data(), kPanelRows);
        c.kernels->panel_gemm_f32(panel_f32.data(), kPanelRows, cols, x.data() + col, c.cols, c.tokens, acc.data(),
                                  kPanelRows);
      } else {
        c.kernels->unpack_i8[type](source, col, cols, panel);
        const ActivationsI8 input{x_codes.data() + col, x_scales.data() + col / kActivationBlock,
                                  x_sums.data() + col / kActivationHalf, c.cols};
        c.kernels->panel_gemm_i8(format, panel, cols, input, c.tokens, acc.data(), kPanelRows);
      }
    }
    benchmark::DoNotOptimize(acc.data());
    benchmark::ClobberMemory();
    row = row + kPanelRows < rows ? row + kPanelRows : 0;
    ++panels;
  }
  const auto values = static_cast<double>(panels * kPanelRows * c.cols);
  using benchmark::Counter;
  state.counters["bytes"] = Counter(static_cast<double>(panels * kPanelRows * bytes_per_row), Counter::kIsRate);
  state.counters["MAC"] = Counter(values * static_cast<double>(c.tokens), Counter::kIsRate);
}

// Reads them all; what comes out only keeps the compiler from dropping the reads.
std::uint64_t read_all(std::span<const std::uint64_t> words) {
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i + 8 <= words.size(); i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] ^= words[i + lane];
  }
  return std::accumulate(std::begin(sums), std::end(sums), std::uint64_t{0});
}

void read_memory(benchmark::State& state) {
  const AlignedBuffer<std::uint64_t> memory(std::size_t{64} << 20, "memory");  // 512 MiB
  std::ranges::fill(memory.span(), 1);
  ThreadPool pool(ThreadPool::physical_cores());
  const std::size_t share = memory.size() / pool.threads();
  std::size_t bytes = 0;
  for ([[maybe_unused]] auto _ : state) {
    pool.parallel_for(pool.threads(), [&](std::size_t i, std::size_t) {
      benchmark::DoNotOptimize(read_all(memory.span().subspan(i * share, share)));
    });
    bytes += memory.size_bytes();
  }
  state.counters["bytes"] = benchmark::Counter(static_cast<double>(bytes), benchmark::Counter::kIsRate);
}

void register_all() {
  benchmark::RegisterBenchmark("memory", read_memory)->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    const auto add = [&](DType dtype, bool with_floats) {
      for (const std::size_t cols : {1536U, 6144U}) {
        for (const std::size_t tokens : {1U, 2U, 4U, 8U, 64U, 512U}) {
          const std::string name = std::string(kernels->name) + '/' + std::string(dtype_info(dtype).name) +
                                   (with_floats ? "/f32" : "/i8") + "/k" + std::to_string(cols) + "/tokens" +
                                   std::to_string(tokens);
          const Case c{kernels, dtype, cols, tokens, with_floats};
          benchmark::RegisterBenchmark(name.c_str(), [c](benchmark::State& state) {
            multiply(state, c);
          })->Unit(benchmark::kMicrosecond);
        }
      }
    };
    for (const DType dtype : {DType::kQ4_0, DType::kQ8_0, DType::kQ4_K, DType::kQ6_K}) add(dtype, false);
    for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF32, DType::kQ4_0}) add(dtype, true);
  }
}

}  // namespace
}  // namespace carat

int main(int argc, char** argv) {
  carat::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
