#include "vision/patch_embedder.h"

#include "base/error.h"
#include "nn/norm.h"

namespace carat {
namespace {

constexpr float kLayerNormEps = 1e-5F;  // torch.nn.LayerNorm's own

}  // namespace

SoftTokens PatchEmbedder::encode(const Compute& compute, const RgbImage& image, MediaKind kind, Trace* trace) const {
  const PatchGrid grid = patch_grid(image.size, config_.patch_pixels);
  if (grid.columns > config_.positions || grid.rows > config_.positions) {
    throw Error(ErrorKind::kBadInput,
                str("the picture is ", grid.columns, " x ", grid.rows, " soft tokens, the model knows positions up to ",
                    config_.positions, " a side. Take a smaller image budget."));
  }
  const PatchEmbedderWeights& w = weights_;
  const AlignedBuffer<float> patch_buffer =
      cut_patches(compute, image, config_.patch_pixels, config_.patch_order, {.scale = 1, .shift = 0});
  const MatView<float> patches = patch_buffer.mat(grid.count(), w.dense.cols);
  if (trace != nullptr) trace->tensor("vision.patches", patches);

  const AlignedBuffer<float> hidden(grid.count() * config_.width, "vision");
  const MatView<float> h = hidden.mat(grid.count(), config_.width);
  layer_norm(compute, patches, w.patch_norm.weight, w.patch_norm.bias, kLayerNormEps, patches);
  compute.matmul(patches, w.dense, h);
  for_rows(compute, h.rows(),
           [&](std::size_t row) { compute.kernels.add(w.bias.data(), h.cols(), h.row(row).data()); });
  layer_norm(compute, h, w.dense_norm.weight, w.dense_norm.bias, kLayerNormEps, h);
  for_rows(compute, h.rows(), [&](std::size_t patch) {
    float* x = h.row(patch).data();
    compute.kernels.add(w.column.data() + patch % grid.columns * h.cols(), h.cols(), x);
    compute.kernels.add(w.row.data() + patch / grid.columns * h.cols(), h.cols(), x);
  });
  layer_norm(compute, h, w.position_norm.weight, w.position_norm.bias, kLayerNormEps, h);
  rms_norm(compute, h, {}, config_.eps, h);

  SoftTokens soft(kind, grid.count(), w.projection.rows);
  compute.matmul(h, w.projection, soft.rows());
  if (trace != nullptr) trace->tensor("vision.soft_tokens", soft.rows());
  return soft;
}

}  // namespace carat
