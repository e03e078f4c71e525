// Matmul: y = x W^T for weights of any type, straight from the file's mapping.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/range_shares.h"
#include "base/thread_pool.h"
#include "base/view.h"
#include "kernels/followers.h"
#include "kernels/kernel_table.h"
#include "kernels/weight_matrix.h"

namespace carat {

// How activations meet quantised weights: as 32-bit floats (exact), or as 8-bit codes (fast). Weights that are not
// quantised always meet floats.
enum class ActivationType { kF32, kI8 };

// How floats meet floats: column by column, which gives the same bits on every instruction set; or, where the kernel
// table has tiles for it, by pairs of bf16 (kernel_table.h), several times as fast and nearly as exact, but with bits
// of the processor's own. Pairs are for towers, whose work lies in such products; text models keep to the order.
enum class FloatProduct { kInOrder, kByPairs };

// One product of a group that shares its input: out = x[first_row .. first_row + out.rows()) W^T.
struct Product {
  WeightMatrix weight;
  MatView<float> out;         // [rows, weight.rows]
  std::size_t first_row = 0;  // of the shared input
};

// Is shown every product's weights and input, [rows, weight.cols], before it is computed.
using MatmulObserver = std::function<void(const WeightMatrix& weight, MatView<const float> x)>;

// Makes columns [first, first + count) of a row of a product's input, in place, from what stands there.
using MakeColumns = std::function<void(std::size_t row, std::size_t first, std::size_t count)>;

// Works on panels of weight rows: a worker unpacks some columns of a panel into its own cache, multiplies all rows
// of activations with them and goes on; one or a few rows of activations meet the weights in registers, as they are
// read. Weights are read once however many rows there are, and never copied. Each output is the sum over columns in
// ascending order (kernel_table.h): it does not depend on the other rows in the batch, nor on the number of threads,
// nor, but for products by pairs, on the instruction set.
class Matmul {
 public:
  // kernels and pool must outlive this. Used by one thread at a time.
  Matmul(const KernelTable& kernels, ThreadPool& pool, ActivationType activations,
         FloatProduct floats = FloatProduct::kInOrder);

  // Whether floats meet floats by pairs here.
  bool is_by_pairs() const { return is_by_pairs_; }

  // x: [rows, cols], cols equal to every weight's. Outs may not overlap each other or x. `make`, if there is one, makes
  // x first, each column once, by several threads: who makes columns also quantises them, while they are near.
  void operator()(MatView<const float> x, std::span<const Product> products, const MakeColumns& make = {});
  void operator()(MatView<const float> x, const WeightMatrix& weight, MatView<float> out,
                  const MakeColumns& make = {}) {
    const Product product{weight, out};
    (*this)(x, {&product, 1}, make);
  }

  // For measuring what weights meet (`carat imatrix`); none by default.
  void set_observer(MatmulObserver observer) { observer_ = std::move(observer); }

 private:
  // What a worker unpacks into.
  struct Workspace {
    AlignedBuffer<float> panel_f32;     // [kPanelsAtOnce][kColsF32][16]
    AlignedBuffer<std::uint8_t> codes;  // [kColsI8 / 4][16][4]
    AlignedBuffer<float> scales;        // [kColsI8 / 16][16]
    AlignedBuffer<float> minimums;      // the same
    AlignedBuffer<float> last_panel;    // [rows][panel_rows]: outputs of a panel that lacks rows
    AlignedBuffer<std::uint16_t> high;  // [2][kColsPairs / 2][16][2]
    AlignedBuffer<std::uint16_t> low;   // the same
  };

  // How a product is worked on.
  enum class Meets { kCodes, kPairs, kFloats };
  struct Panels {
    Meets meets = Meets::kFloats;
    std::size_t rows = 0;   // weight rows unpacked together: as many as kernels take, or a multiple of that
    std::size_t bytes = 0;  // of a panel
    std::size_t count = 0;
    std::size_t ahead = 0;  // how many panels ahead weights are prefetched
    // So many from the first on meet the few rows of activations in registers, any number of panels at a time.
    std::size_t whole_in_registers = 0;
  };
  // Consecutive panels of a product, all in one worker's share.
  struct Stretch {
    std::size_t product = 0;
    std::size_t first_panel = 0;      // of the product
    const std::byte* data = nullptr;  // of that panel
    std::size_t first = 0;            // the same panel, counted through all stretches
    std::size_t end = 0;              // the next stretch's first
  };

  bool meets_codes(const WeightMatrix& weight) const;
  Panels panels_of(const Product& product) const;
  void quantize(MatView<const float> x, const MakeColumns& make);
  void split(MatView<const float> x);
  ActivationsI8 codes_from(std::size_t row, std::size_t col) const;
  // Each worker gets a part of every product, so that it has made what it needs when outputs of several are combined
  // element by element.
  void plan(std::span<const Product> products);
  std::vector<Stretch>::const_iterator stretch_of(std::size_t panel) const;
  // Works on some panels, one after the other. What is read next is fetched meanwhile: of the panels up to `end`, which
  // the worker takes in order, or of what comes `after`.
  void multiply_panels(MatView<const float> x, std::span<const Product> products, IndexRange panels, std::size_t end,
                       const std::byte* after, Workspace& workspace) const;
  // Of panels of a product, several only where they meet activations in registers.
  void multiply_rows(MatView<const float> x, const Product& product, const Panels& layout, IndexRange panels,
                     const std::byte* later, Workspace& workspace) const;

  void multiply_codes(const Product& product, const WeightRows& source, Workspace& workspace, MatView<float> acc) const;
  void multiply_floats(MatView<const float> x, const Product& product, const WeightRows& source, Workspace& workspace,
                       MatView<float> acc) const;
  void multiply_pairs(const Product& product, const WeightRows& source, Workspace& workspace, MatView<float> acc) const;

  const KernelTable& kernels_;
  ThreadPool& pool_;
  ActivationType activations_;
  bool is_by_pairs_;
  std::vector<Workspace> workspaces_;  // one a worker
  Followers followers_;                // of groups of products

  // The products at hand.
  std::vector<Panels> panels_;  // of each product
  std::vector<Stretch> stretches_;
  std::vector<std::size_t> share_ends_;
  std::vector<const std::byte*> starts_;  // where each share begins; null where it is empty
  RangeShares shares_;                    // of the panels of all stretches
  MatmulObserver observer_;

  // The input at hand as codes; grown on demand.
  AlignedBuffer<std::int8_t> x_codes_;
  AlignedBuffer<float> x_scales_;
  AlignedBuffer<std::int32_t> x_sums_;
  ActivationsI8 x_i8_;
  // The same as pairs.
  AlignedBuffer<std::uint16_t> x_high_;
  AlignedBuffer<std::uint16_t> x_low_;
  ActivationPairs x_pairs_;
};

}  // namespace carat
