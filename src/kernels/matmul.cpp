#include "kernels/matmul.h"

#include <algorithm>
#include <cassert>

#include "base/row_parts.h"
#include "kernels/pack.h"
#include "kernels/workspace.h"

namespace carat {
namespace {

// Columns unpacked at a time: a panel of codes (32 KiB) stays in the first-level cache while every row of activations
// passes over it, and so does a panel of pairs, or one of floats that few rows meet.
constexpr std::size_t kColsI8 = 2048;
constexpr std::size_t kColsPairs = 512;
constexpr std::size_t kColsFewF32 = 512;

// Many rows of activations are more than the second-level cache holds, and would come past once for every sixteen rows
// of weights. Where there are enough of these for all workers, panels of floats are as wide as four (192 KiB), and
// activations meet them in blocks, each of which comes past once for all four.
constexpr std::size_t kPanelsAtOnce = 4;
constexpr std::size_t kColsF32 = kMaxUnpackCols;
constexpr std::size_t kRowBlock = 48;  // a multiple of what kernels take at a time

// How far ahead weights are prefetched, at least: with less, panels of short rows come late.
constexpr std::size_t kPrefetchBytes = 32768;

// At most a panel's rows from one of some rows on.
WeightRows rows_from(const WeightRows& rows, std::size_t first) {
  const std::size_t skipped = first * rows.row_bytes;
  return {rows.first + skipped, rows.row_bytes, std::min(kPanelRows, rows.rows - first),
          rows.later == nullptr ? nullptr : rows.later + skipped};
}

}  // namespace

Matmul::Matmul(const KernelTable& kernels, ThreadPool& pool, ActivationType activations, FloatProduct floats)
    : kernels_(kernels),
      pool_(pool),
      activations_(activations),
      is_by_pairs_(floats == FloatProduct::kByPairs && kernels.panel_gemm_pairs != nullptr),
      workspaces_(pool.threads()),
      shares_(pool.threads()) {
  for (Workspace& w : workspaces_) {
    reserve(w.panel_f32, kPanelsAtOnce * kColsF32 * kPanelRows);
    reserve(w.codes, kColsI8 * kPanelRows);
    reserve(w.scales, kColsI8 / kActivationHalf * kPanelRows);
    reserve(w.minimums, kColsI8 / kActivationHalf * kPanelRows);
    if (is_by_pairs_) {
      reserve(w.high, kColsPairs * kPairRows);
      reserve(w.low, kColsPairs * kPairRows);
    }
  }
}

bool Matmul::meets_codes(const WeightMatrix& weight) const {
  return activations_ == ActivationType::kI8 && panel_format(weight.dtype).max_code != 0 &&
         kernels_.unpack_i8[static_cast<std::size_t>(weight.dtype)] != nullptr;
}

Matmul::Panels Matmul::panels_of(const Product& product) const {
  const WeightMatrix& weight = product.weight;
  Panels panels;
  panels.rows = kPanelRows;
  if (meets_codes(weight)) {
    panels.meets = Meets::kCodes;
    const std::size_t most = kernels_.gemv_tokens[static_cast<std::size_t>(weight.dtype)];
    if (product.out.rows() <= most) panels.whole_in_registers = weight.rows / kPanelRows;
  } else if (is_by_pairs_) {
    panels.meets = Meets::kPairs;
    panels.rows = kPairRows;
  } else if (product.out.rows() >= kRowBlock) {
    const std::size_t tasks = 4 * pool_.threads();  // several a worker, so that none waits long for the last
    panels.rows = kPanelRows * std::clamp<std::size_t>(weight.rows / kPanelRows / tasks, 1, kPanelsAtOnce);
  }
  panels.bytes = panels.rows * weight.row_bytes;
  panels.count = product.out.rows() == 0 ? 0 : (weight.rows + panels.rows - 1) / panels.rows;
  panels.ahead = (kPrefetchBytes + panels.bytes - 1) / panels.bytes;
  return panels;
}

void Matmul::operator()(MatView<const float> x, std::span<const Product> products, const MakeColumns& make) {
  if (x.rows() == 0) return;
  plan(products);
  bool needs_codes = false;
  bool needs_pairs = false;
  for (std::size_t i = 0; i < products.size(); ++i) {
    const Product& product = products[i];
    assert(product.weight.cols == x.cols() && product.out.cols() == product.weight.rows);
    assert(product.first_row + product.out.rows() <= x.rows());
    needs_codes = needs_codes || panels_[i].meets == Meets::kCodes;
    needs_pairs = needs_pairs || panels_[i].meets == Meets::kPairs;
    // Only the last panel of a matrix can lack rows.
    if (product.weight.rows % panels_[i].rows != 0) {
      for (Workspace& w : workspaces_) reserve(w.last_panel, product.out.rows() * panels_[i].rows);
    }
  }
  const bool is_made_later = needs_codes && !observer_;
  if (make && !is_made_later) {
    for_row_parts(pool_, x.rows(), {x.cols()}, [&](const IndexRange& rows, const IndexRange& columns) {
      for (std::size_t row = rows.first; row < rows.end; ++row) make(row, columns.first, columns.count());
    });
  }
  if (observer_) {
    for (const Product& product : products) {
      observer_(product.weight, x.row_range(product.first_row, product.out.rows()));
    }
  }
  if (needs_codes) {
    const MakeColumns nothing;
    quantize(x, is_made_later ? make : nothing);
  }
  if (needs_pairs) split(x);
  const std::vector<const std::byte*>& after = followers_.follow(products.front().weight.data, starts_);
  pool_.parallel_for(pool_.threads(), [&](std::size_t share, std::size_t worker) {
    const IndexRange own = shares_.dealt(share);
    for (IndexRange panels = shares_.take(share); !panels.empty(); panels = shares_.take(share)) {
      const bool is_own = own.first <= panels.first && panels.first < own.end;
      multiply_panels(x, products, panels, is_own ? own.end : panels.end, after.empty() ? nullptr : after[share],
                      workspaces_[worker]);
    }
  });
}

void Matmul::quantize(MatView<const float> x, const MakeColumns& make) {
  const std::size_t cols = x.cols();
  assert(cols % kActivationBlock == 0);
  // Rows, and parts of a row, lie on cache lines of their own: threads that write them side by side don't wait.
  const std::size_t stride = round_up(cols, Columns().step);
  reserve(x_codes_, x.rows() * stride);
  reserve(x_scales_, x.rows() * stride / kActivationBlock);
  reserve(x_sums_, x.rows() * stride / kActivationHalf);
  x_i8_ = {x_codes_.data(), x_scales_.data(), x_sums_.data(), stride};
  for_row_parts(pool_, x.rows(), {cols}, [&](const IndexRange& rows, const IndexRange& columns) {
    const std::size_t count = columns.count();
    const auto at = [&](std::size_t row) { return row * stride + columns.first; };
    const auto codes = [&](std::size_t row) { return x_codes_.data() + at(row); };
    const auto scales = [&](std::size_t row) { return x_scales_.data() + at(row) / kActivationBlock; };
    const auto sums = [&](std::size_t row) { return x_sums_.data() + at(row) / kActivationHalf; };
    for (std::size_t row = rows.first; row < rows.end; ++row) {
      // Other threads have read what stood there. It comes from their caches quickest where many lines are written one
      // after the other, which the kernel does not.
      std::fill_n(codes(row), count, std::int8_t{0});
      std::fill_n(scales(row), count / kActivationBlock, 0.0F);
      std::fill_n(sums(row), count / kActivationHalf, 0);
      if (make) make(row, columns.first, count);
      kernels_.quantize_i8(x.row(row).data() + columns.first, count, codes(row), scales(row), sums(row));
    }
  });
}

ActivationsI8 Matmul::codes_from(std::size_t row, std::size_t col) const {
  const std::size_t at = row * x_i8_.stride + col;
  return {x_i8_.codes + at, x_i8_.scales + at / kActivationBlock, x_i8_.sums + at / kActivationHalf, x_i8_.stride};
}

void Matmul::split(MatView<const float> x) {
  const std::size_t stride = (x.cols() + kPairCols - 1) / kPairCols * kPairCols;
  reserve(x_high_, x.rows() * stride);
  reserve(x_low_, x.rows() * stride);
  x_pairs_ = {x_high_.data(), x_low_.data(), stride};
  pool_.parallel_for(x.rows(), [&](std::size_t row, std::size_t) {
    std::uint16_t* high = x_high_.data() + row * stride;
    std::uint16_t* low = x_low_.data() + row * stride;
    kernels_.split_pairs(x.row(row).data(), x.cols(), high, low);
    std::fill(high + x.cols(), high + stride, std::uint16_t{0});
    std::fill(low + x.cols(), low + stride, std::uint16_t{0});
  });
}

void Matmul::plan(std::span<const Product> products) {
  panels_.clear();
  for (const Product& product : products) panels_.push_back(panels_of(product));
  stretches_.clear();
  share_ends_.clear();
  starts_.clear();
  std::size_t first = 0;
  for (std::size_t share = 0; share < pool_.threads(); ++share) {
    const std::byte* start = nullptr;
    for (std::size_t i = 0; i < products.size(); ++i) {
      const std::size_t begin = panels_[i].count * share / pool_.threads();
      const std::size_t end = panels_[i].count * (share + 1) / pool_.threads();
      if (begin == end) continue;
      const std::byte* data = products[i].weight.data + begin * panels_[i].bytes;
      if (start == nullptr) start = data;
      stretches_.push_back({i, begin, data, first, first + end - begin});
      first += end - begin;
    }
    starts_.push_back(start);
    share_ends_.push_back(first);
  }
  shares_.deal(share_ends_);
}

std::vector<Matmul::Stretch>::const_iterator Matmul::stretch_of(std::size_t panel) const {
  return std::ranges::upper_bound(stretches_, panel, {}, &Stretch::first) - 1;
}

void Matmul::multiply_panels(MatView<const float> x, std::span<const Product> products, IndexRange panels,
                             std::size_t end, const std::byte* after, Workspace& workspace) const {
  auto stretch = stretch_of(panels.first);
  for (std::size_t i = panels.first; i < panels.end; ++stretch) {
    const Product& product = products[stretch->product];
    const Panels& layout = panels_[stretch->product];
    const std::size_t run_end = std::min(stretch->end, panels.end);
    const std::size_t stretch_end = std::min(stretch->end, end);
    const std::byte* next = stretch->end < end ? stretch[1].data : after;
    while (i < run_end) {
      const std::size_t panel = stretch->first_panel + (i - stretch->first);
      const std::size_t later = i + layout.ahead;
      const bool is_of_stretch = later < stretch_end;
      std::size_t count = 1;
      if (panel < layout.whole_in_registers) {
        // As many as what is fetched meanwhile lies in a row for.
        const std::size_t row_end = is_of_stretch ? std::min(run_end, stretch_end - layout.ahead) : run_end;
        count = std::min(row_end - i, layout.whole_in_registers - panel);
      }
      const std::byte* fetched = nullptr;
      if (is_of_stretch) {
        fetched = stretch->data + (later - stretch->first) * layout.bytes;
      } else if (next != nullptr) {
        fetched = next + (later - stretch_end) * layout.bytes;
      }
      multiply_rows(x, product, layout, {panel, panel + count}, fetched, workspace);
      i += count;
    }
  }
}

void Matmul::multiply_rows(MatView<const float> x, const Product& product, const Panels& layout, IndexRange panels,
                           const std::byte* later, Workspace& workspace) const {
  const WeightMatrix& weight = product.weight;
  const std::size_t tokens = product.out.rows();
  const std::size_t first_row = panels.first * layout.rows;
  const std::size_t rows = std::min(panels.end * layout.rows, weight.rows) - first_row;
  const WeightRows source{weight.row(first_row), weight.row_bytes, rows, later};

  // Sums grow in the output itself, or beside it where those of the kernel's last rows would run past the output's end.
  const bool is_whole = rows % (layout.meets == Meets::kPairs ? kPairRows : kPanelRows) == 0;
  const MatView<float> acc = is_whole ? product.out.col_range(first_row, rows)
                                      : MatView<float>(workspace.last_panel.data(), tokens, layout.rows);
  for (std::size_t t = 0; t < tokens; ++t) std::ranges::fill(acc.row(t), 0.0F);

  switch (layout.meets) {
    case Meets::kCodes:
      if (panels.first < layout.whole_in_registers) {
        kernels_.gemv_i8[static_cast<std::size_t>(weight.dtype)](source, weight.cols, codes_from(product.first_row, 0),
                                                                 tokens, acc.data(), acc.stride());
      } else {
        multiply_codes(product, source, workspace, acc);
      }
      break;
    case Meets::kPairs:
      multiply_pairs(product, source, workspace, acc);
      break;
    case Meets::kFloats:
      multiply_floats(x, product, source, workspace, acc);
      break;
  }
  if (!is_whole) {
    for (std::size_t t = 0; t < tokens; ++t) {
      std::copy_n(acc.row(t).data(), rows, product.out.row(t).data() + first_row);
    }
  }
}

void Matmul::multiply_codes(const Product& product, const WeightRows& source, Workspace& workspace,
                            MatView<float> acc) const {
  const WeightMatrix& weight = product.weight;
  const auto type = static_cast<std::size_t>(weight.dtype);
  const PanelI8 codes{workspace.codes.data(), workspace.scales.data(), workspace.minimums.data()};
  for (std::size_t col = 0; col < weight.cols; col += kColsI8) {
    const std::size_t cols = std::min(kColsI8, weight.cols - col);
    kernels_.unpack_i8[type](source, col, cols, codes);
    kernels_.panel_gemm_i8(panel_format(weight.dtype), codes, cols, codes_from(product.first_row, col), acc.rows(),
                           acc.data(), acc.stride());
  }
}

void Matmul::multiply_floats(MatView<const float> x, const Product& product, const WeightRows& source,
                             Workspace& workspace, MatView<float> acc) const {
  const WeightMatrix& weight = product.weight;
  const auto type = static_cast<std::size_t>(weight.dtype);
  const float* input = x.row(product.first_row).data();
  if (acc.rows() == 1 && source.rows == kPanelRows && kernels_.gemv_f32[type] != nullptr) {
    kernels_.gemv_f32[type](source, weight.cols, input, acc.data());
    return;
  }
  const std::size_t step = acc.rows() < kRowBlock ? kColsFewF32 : kColsF32;
  const auto floats = [&](std::size_t row) { return workspace.panel_f32.data() + row * step; };
  for (std::size_t col = 0; col < weight.cols; col += step) {
    const std::size_t cols = std::min(step, weight.cols - col);
    for (std::size_t row = 0; row < source.rows; row += kPanelRows) {
      unpack_panel(kernels_, weight.dtype, rows_from(source, row), col, cols, floats(row), kPanelRows);
    }
    for (std::size_t t = 0; t < acc.rows(); t += kRowBlock) {
      for (std::size_t row = 0; row < source.rows; row += kPanelRows) {
        kernels_.panel_gemm_f32(floats(row), kPanelRows, cols, input + t * x.stride() + col, x.stride(),
                                std::min(kRowBlock, acc.rows() - t), acc.row(t).data() + row, acc.stride());
      }
    }
  }
}

void Matmul::multiply_pairs(const Product& product, const WeightRows& source, Workspace& workspace,
                            MatView<float> acc) const {
  const WeightMatrix& weight = product.weight;
  // Weights of bf16 are a pair's high half already.
  const PanelPairs pairs{workspace.high.data(), weight.dtype == DType::kBF16 ? nullptr : workspace.low.data()};
  const std::size_t at = product.first_row * x_pairs_.stride;
  float* floats = workspace.panel_f32.data();
  for (std::size_t col = 0; col < weight.cols; col += kColsPairs) {
    const std::size_t cols = std::min(kColsPairs, weight.cols - col);
    const std::size_t padded = round_up(cols, kPairCols);
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t first = half * kPanelRows;
      if (first < source.rows) {
        unpack_panel(kernels_, weight.dtype, rows_from(source, first), col, cols, floats, kPanelRows);
        std::fill(floats + cols * kPanelRows, floats + padded * kPanelRows, 0.0F);
      } else {
        std::fill_n(floats, padded * kPanelRows, 0.0F);
      }
      kernels_.pack_pairs(floats, kPanelRows, padded, pairs.high + first * padded,
                          pairs.low == nullptr ? nullptr : pairs.low + first * padded);
    }
    kernels_.panel_gemm_pairs(pairs, padded, {x_pairs_.high + at + col, x_pairs_.low + at + col, x_pairs_.stride},
                              acc.rows(), acc.data(), acc.stride());
  }
}

}  // namespace carat
