#include "audio/subsample.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace carat {
namespace {

constexpr std::size_t kSide = 3;  // of a kernel
// Frames made at once: their patches (64 frames x 32 bins x 9 x 128 channels) take 9 MiB.
constexpr std::size_t kFramesAtOnce = 64;

// A grid of activations: [frames, bins, channels].
struct Grid {
  const float* data = nullptr;
  std::size_t frames = 0;
  std::size_t bins = 0;
  std::size_t channels = 0;

  const float* at(std::size_t frame, std::size_t bin) const { return data + (frame * bins + bin) * channels; }
};

// The 3x3 neighbourhood whose middle is (2 * frame, 2 * bin), zeros beyond the grid: [time, frequency, channel].
void gather_patch(const Grid& x, std::size_t frame, std::size_t bin, std::span<float> patch) {
  float* out = patch.data();
  for (std::size_t t = 0; t < kSide; ++t) {
    for (std::size_t f = 0; f < kSide; ++f, out += x.channels) {
      const std::size_t from_frame = 2 * frame + t;  // one too many: the zero around comes first
      const std::size_t from_bin = 2 * bin + f;
      const bool is_inside = from_frame >= 1 && from_frame <= x.frames && from_bin >= 1 && from_bin <= x.bins;
      if (is_inside) {
        std::copy_n(x.at(from_frame - 1, from_bin - 1), x.channels, out);
      } else {
        std::fill_n(out, x.channels, 0.0F);
      }
    }
  }
}

// x = relu((x - mean) / sqrt(variance + eps) * weight).
void layer_norm_relu(std::span<const float> weight, float eps, std::span<float> x) {
  double sum = 0;
  for (const float v : x) sum += double{v};
  const double mean = sum / static_cast<double>(x.size());
  double squares = 0;
  for (const float v : x) squares += (double{v} - mean) * (double{v} - mean);
  const double factor = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + double{eps});
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::max(0.0F, static_cast<float>((double{x[i]} - mean) * factor) * weight[i]);
  }
}

// out: [frames / 2, bins / 2, channels out], halves rounded up.
void block(const Compute& compute, const SubsampleWeights& weights, float eps, const Grid& x, const Grid& shape,
           float* out) {
  const std::size_t patch_size = kSide * kSide * x.channels;
  const WeightMatrix kernel{DType::kF32, reinterpret_cast<const std::byte*>(weights.kernel.data()), shape.channels,
                            patch_size, patch_size * sizeof(float)};
  const std::size_t rows_at_once = std::min(kFramesAtOnce, shape.frames) * shape.bins;
  const AlignedBuffer<float> patches(rows_at_once * patch_size, "patches of the audio tower's convolutions");
  for (std::size_t first = 0; first < shape.frames; first += kFramesAtOnce) {
    const std::size_t rows = std::min(kFramesAtOnce, shape.frames - first) * shape.bins;
    const MatView<float> in = patches.mat(rows, patch_size);
    for_rows(compute, rows,
             [&](std::size_t row) { gather_patch(x, first + row / shape.bins, row % shape.bins, in.row(row)); });
    const MatView<float> chunk(out + first * shape.bins * shape.channels, rows, shape.channels);
    compute.matmul(in, kernel, chunk);
    for_rows(compute, rows, [&](std::size_t row) { layer_norm_relu(weights.norm, eps, chunk.row(row)); });
  }
}

}  // namespace

void subsample(const Compute& compute, const AudioConfig& config, const AudioWeights& weights, MatView<const float> mel,
               MatView<float> out) {
  assert(mel.stride() == kMelBins);
  const auto half = [](std::size_t n) { return (n + 1) / 2; };
  const Grid input{mel.data(), mel.rows(), kMelBins, 1};

  Grid first{nullptr, half(input.frames), half(input.bins), config.channels[0]};
  const AlignedBuffer<float> first_values(first.frames * first.bins * first.channels, "the audio tower's convolutions");
  block(compute, weights.subsample[0], config.eps, input, first, first_values.data());
  first.data = first_values.data();

  const Grid second{nullptr, half(first.frames), half(first.bins), config.channels[1]};
  const std::size_t width = second.bins * second.channels;
  const AlignedBuffer<float> second_values(second.frames * width, "the audio tower's convolutions");
  block(compute, weights.subsample[1], config.eps, first, second, second_values.data());

  assert(out.rows() == second.frames);
  compute.matmul(second_values.mat(second.frames, width), weights.input, out);
}

}  // namespace carat
