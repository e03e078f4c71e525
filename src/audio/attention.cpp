#include "audio/attention.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace carat {
namespace {

constexpr std::size_t kTile = kPanelRows;      // frames whose queries are worked on together
constexpr std::size_t kKeys = 2 * kPanelRows;  // the frames they see: their own and the tile before
static_assert(kAudioWindow <= kPanelRows);

// The tile of one thread: sixteen queries of a head and the keys they see, side by side as the matrix kernel wants
// them.
struct Tile {
  static std::size_t floats(std::size_t head_dim) { return (head_dim + kTile) * (kKeys + kPanelRows); }
  // memory: floats(dim) of them.
  Tile(std::size_t dim, float* memory)
      : head_dim(dim),
        keys(memory),
        relative(keys + dim * kKeys),
        scores(relative + dim * kPanelRows),
        relative_scores(scores + kTile * kKeys) {}

  std::size_t head_dim;
  float* keys;             // [kKeys / 16][head_dim][16]
  float* relative;         // [head_dim][16]
  float* scores;           // [kTile][kKeys]
  float* relative_scores;  // [kTile][16]
};

// panel[c][r] = row first + r of x, column c; zeros for rows that x lacks.
void transpose_rows(MatView<const float> x, std::ptrdiff_t first, float* panel) {
  for (std::size_t r = 0; r < kPanelRows; ++r) {
    const std::ptrdiff_t from = first + static_cast<std::ptrdiff_t>(r);
    const bool exists = from >= 0 && from < static_cast<std::ptrdiff_t>(x.rows());
    for (std::size_t c = 0; c < x.cols(); ++c) {
      panel[c * kPanelRows + r] = exists ? x.row(static_cast<std::size_t>(from))[c] : 0.0F;
    }
  }
}

// Frames [first, first + kTile) of one head. query, key, value: this head's columns; the result replaces the queries.
void attend_tile(const KernelTable& kernels, float cap, MatView<float> query, MatView<const float> key,
                 MatView<const float> value, std::size_t first, const Tile& tile) {
  const std::size_t frames = std::min(kTile, query.rows() - first);
  const std::size_t dim = tile.head_dim;
  std::fill_n(tile.scores, kTile * (kKeys + kPanelRows), 0.0F);  // with relative_scores, which lie behind
  for (std::size_t half = 0; half < kKeys / kPanelRows; ++half) {
    float* panel = tile.keys + half * dim * kPanelRows;
    transpose_rows(key, static_cast<std::ptrdiff_t>(first + half * kPanelRows) - std::ptrdiff_t{kTile}, panel);
    kernels.panel_gemm_f32(panel, kPanelRows, dim, query.row(first).data(), query.stride(), frames,
                           tile.scores + half * kPanelRows, kKeys);
  }
  kernels.panel_gemm_f32(tile.relative, kPanelRows, dim, query.row(first).data(), query.stride(), frames,
                         tile.relative_scores, kPanelRows);

  for (std::size_t i = 0; i < frames; ++i) {
    const std::size_t t = first + i;
    const std::size_t seen = std::min(kAudioWindow, t + 1);
    float weights[kAudioWindow];
    for (std::size_t d = 0; d < seen; ++d) {
      weights[d] = tile.scores[i * kKeys + kTile + i - d] + tile.relative_scores[i * kPanelRows + d];
    }
    kernels.soft_cap(cap, seen, weights);
    const float sum = kernels.exp_shifted(kernels.max(weights, seen), seen, weights);
    const std::span<float> out = query.row(t);
    std::fill(out.begin(), out.end(), 0.0F);
    for (std::size_t d = 0; d < seen; ++d) {
      kernels.scale_add(weights[d] / sum, value.row(t - d).data(), dim, out.data());
    }
  }
}

}  // namespace

void audio_attention(const Compute& compute, const AudioConfig& config, const AudioAttentionWeights& weights,
                     MatView<float> x, ConformerScratch& scratch, MatView<float> out) {
  const std::size_t frames = x.rows();
  const std::size_t dim = config.head_dim();
  const MatView<float> clipped = scratch.clipped.mat(frames, config.hidden);
  const MatView<float> query = scratch.query.mat(frames, config.hidden);
  const MatView<float> key = scratch.key.mat(frames, config.hidden);
  const MatView<float> value = scratch.value.mat(frames, config.hidden);
  const MatView<float> relative = scratch.relative_keys.mat(kAudioWindow, config.hidden);

  clipped_linear(compute, weights.query, x, clipped, query);
  clipped_linear(compute, weights.key, x, clipped, key);
  clipped_linear(compute, weights.value, x, clipped, value);
  compute.matmul(scratch.distances.mat(kAudioWindow, config.hidden), weights.relative_key, relative);
  // k_scale of the reference, on the queries' product with keys alone: it does not touch q . r.
  const float key_scale = std::log1p(std::numbers::e_v<float>) / std::numbers::ln2_v<float>;
  for_rows(compute, frames, [&](std::size_t t) {
    compute.kernels.scale(key_scale, config.hidden, key.row(t).data());
    for (std::size_t head = 0; head < config.heads; ++head) {
      compute.kernels.mul(weights.query_scale.data(), dim, query.row(t).data() + head * dim);
    }
  });

  const std::size_t tile_floats = Tile::floats(dim);
  if (scratch.attention_tiles.size() < compute.pool.threads() * tile_floats) {
    scratch.attention_tiles = AlignedBuffer<float>(compute.pool.threads() * tile_floats, "audio attention");
  }
  compute.pool.parallel_for(config.heads, [&](std::size_t head, std::size_t worker) {
    const Tile tile(dim, scratch.attention_tiles.data() + worker * tile_floats);
    transpose_rows(relative.col_range(head * dim, dim), 0, tile.relative);
    for (std::size_t first = 0; first < frames; first += kTile) {
      attend_tile(compute.kernels, config.logit_cap, query.col_range(head * dim, dim), key.col_range(head * dim, dim),
                  value.col_range(head * dim, dim), first, tile);
    }
  });
  clipped_linear(compute, weights.output, query, query, out);
}

}  // namespace carat
