#include "kernels/matmul.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "kernels/pack.h"

namespace carat {
namespace {

// Columns unpacked at a time: a panel of codes (32 KiB) stays in the first-level cache while every row of activations
// passes over it, a panel of floats (32 KiB) as well.
constexpr std::size_t kColsI8 = 2048;
constexpr std::size_t kColsF32 = kMaxUnpackCols;

// Tasks a thread should find in a loop, so that one slow core does not hold up the rest. For a single row, whose time
// is that of the memory, they are fewer: the first panel of a task has not been prefetched.
constexpr std::size_t kTasksPerThread = 8;
constexpr std::size_t kTasksPerThreadOfOneRow = 2;

std::size_t panel_count(const WeightMatrix& weight) {
  return (weight.rows + kPanelRows - 1) / kPanelRows;
}

// Makes room for n values; what was there may go.
template <typename T>
void reserve(AlignedBuffer<T>& buffer, std::size_t n) {
  if (buffer.size() < n) buffer = AlignedBuffer<T>(n, "matrix product workspace");
}

}  // namespace

Matmul::Matmul(const KernelTable& kernels, ThreadPool& pool, ActivationType activations)
    : kernels_(kernels), pool_(pool), activations_(activations), workspaces_(pool.threads()) {
  for (Workspace& w : workspaces_) {
    reserve(w.panel_f32, kColsF32 * kPanelRows);
    reserve(w.codes, kColsI8 * kPanelRows);
    reserve(w.scales, kColsI8 / kActivationHalf * kPanelRows);
    reserve(w.minimums, kColsI8 / kActivationHalf * kPanelRows);
  }
}

bool Matmul::meets_codes(const WeightMatrix& weight) const {
  return activations_ == ActivationType::kI8 && panel_format(weight.dtype).max_code != 0 &&
         kernels_.unpack_i8[static_cast<std::size_t>(weight.dtype)] != nullptr;
}

void Matmul::operator()(MatView<const float> x, std::span<const Product> products) {
  if (x.rows() == 0) return;
  bool needs_codes = false;
  for (const Product& product : products) {
    assert(product.weight.cols == x.cols() && product.out.cols() == product.weight.rows);
    assert(product.first_row + product.out.rows() <= x.rows());
    needs_codes = needs_codes || meets_codes(product.weight);
    if (observer_) observer_(product.weight, x.row_range(product.first_row, product.out.rows()));
    // Only the last panel of a matrix can lack rows.
    if (product.weight.rows % kPanelRows != 0) {
      for (Workspace& w : workspaces_) reserve(w.last_panel, product.out.rows() * kPanelRows);
    }
  }
  if (needs_codes) quantize(x);
  plan(products);
  pool_.parallel_for(tasks_.size(), [&](std::size_t i, std::size_t worker) {
    const Task& task = tasks_[i];
    for (std::size_t p = 0; p < task.panels; ++p) {
      multiply_panel(x, products[task.product], task.first_panel + p, workspaces_[worker]);
    }
  });
}

void Matmul::quantize(MatView<const float> x) {
  const std::size_t cols = x.cols();
  assert(cols % kActivationBlock == 0);
  reserve(x_codes_, x.rows() * cols);
  reserve(x_scales_, x.rows() * cols / kActivationBlock);
  reserve(x_sums_, x.rows() * cols / kActivationHalf);
  x_i8_ = {x_codes_.data(), x_scales_.data(), x_sums_.data(), cols};
  pool_.parallel_for(x.rows(), [&](std::size_t row, std::size_t) {
    kernels_.quantize_i8(x.row(row).data(), cols, x_codes_.data() + row * cols,
                         x_scales_.data() + row * cols / kActivationBlock,
                         x_sums_.data() + row * cols / kActivationHalf);
  });
}

ActivationsI8 Matmul::codes_from(std::size_t row, std::size_t col) const {
  const std::size_t at = row * x_i8_.stride + col;
  return {x_i8_.codes + at, x_i8_.scales + at / kActivationBlock, x_i8_.sums + at / kActivationHalf, x_i8_.stride};
}

void Matmul::plan(std::span<const Product> products) {
  std::size_t panels = 0;
  for (const Product& product : products) {
    if (product.out.rows() != 0) panels += panel_count(product.weight);
  }
  const bool is_one_row = std::ranges::all_of(products, [](const Product& p) { return p.out.rows() <= 1; });
  const std::size_t tasks = pool_.threads() * (is_one_row ? kTasksPerThreadOfOneRow : kTasksPerThread);
  const std::size_t per_task = std::max<std::size_t>(1, (panels + tasks - 1) / tasks);
  tasks_.clear();
  for (std::size_t i = 0; i < products.size(); ++i) {
    if (products[i].out.rows() == 0) continue;
    const std::size_t count = panel_count(products[i].weight);
    for (std::size_t first = 0; first < count; first += per_task) {
      tasks_.push_back({i, first, std::min(per_task, count - first)});
    }
  }
}

void Matmul::multiply_panel(MatView<const float> x, const Product& product, std::size_t panel,
                            Workspace& workspace) const {
  const WeightMatrix& weight = product.weight;
  const std::size_t tokens = product.out.rows();
  const std::size_t first_row = panel * kPanelRows;
  const std::size_t rows = std::min(kPanelRows, weight.rows - first_row);
  const WeightRows source{weight.row(first_row), weight.row_bytes, rows};

  // Sums grow in the output itself, or beside it where sixteen would run past the output's end.
  const bool is_whole = rows == kPanelRows;
  float* acc = is_whole ? product.out.data() + first_row : workspace.last_panel.data();
  const std::size_t acc_stride = is_whole ? product.out.stride() : kPanelRows;
  for (std::size_t t = 0; t < tokens; ++t) std::memset(acc + t * acc_stride, 0, kPanelRows * sizeof(float));

  const auto type = static_cast<std::size_t>(weight.dtype);
  if (meets_codes(weight) && tokens == 1 && is_whole && kernels_.gemv_i8[type] != nullptr) {
    kernels_.gemv_i8[type](source, weight.cols, codes_from(product.first_row, 0), acc);
  } else if (!meets_codes(weight) && tokens == 1 && is_whole && kernels_.gemv_f32[type] != nullptr) {
    kernels_.gemv_f32[type](source, weight.cols, x.row(product.first_row).data(), acc);
  } else if (meets_codes(weight)) {
    const PanelFormat& format = panel_format(weight.dtype);
    const UnpackI8 unpack = kernels_.unpack_i8[type];
    const PanelI8 codes{workspace.codes.data(), workspace.scales.data(), workspace.minimums.data()};
    for (std::size_t col = 0; col < weight.cols; col += kColsI8) {
      const std::size_t cols = std::min(kColsI8, weight.cols - col);
      unpack(source, col, cols, codes);
      kernels_.panel_gemm_i8(format, codes, cols, codes_from(product.first_row, col), tokens, acc, acc_stride);
    }
  } else {
    float* floats = workspace.panel_f32.data();
    for (std::size_t col = 0; col < weight.cols; col += kColsF32) {
      const std::size_t cols = std::min(kColsF32, weight.cols - col);
      unpack_panel(kernels_, weight.dtype, source, col, cols, floats, kPanelRows);
      const float* input = x.row(product.first_row).data() + col;
      kernels_.panel_gemm_f32(floats, kPanelRows, cols, input, x.stride(), tokens, acc, acc_stride);
    }
  }
  if (!is_whole) {
    for (std::size_t t = 0; t < tokens; ++t) {
      std::copy_n(acc + t * kPanelRows, rows, product.out.row(t).data() + first_row);
    }
  }
}

}  // namespace carat
