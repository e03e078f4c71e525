#include "audio/conformer.h"

#include <algorithm>
#include <cmath>

#include "audio/attention.h"
#include "nn/norm.h"

namespace carat {
namespace {

// out = x * sigmoid(gate), row by row.
void sigmoid_mul(const Compute& compute, MatView<const float> gate, MatView<const float> x, MatView<float> out) {
  for_rows(compute, x.rows(), [&](std::size_t row) {
    compute.kernels.sigmoid_mul(gate.row(row).data(), x.row(row).data(), x.cols(), out.row(row).data());
  });
}

// h += residual_weight * norm(clamp(down silu(up norm(clamp(h))))). Reference: Gemma4AudioFeedForward.forward.
void feed_forward(const Compute& compute, const AudioConfig& config, const AudioFeedForwardWeights& weights,
                  MatView<float> h, ConformerScratch& s) {
  const std::size_t frames = h.rows();
  const ClipRange clip{-config.clip, config.clip};
  const MatView<float> normed = s.normed.mat(frames, config.hidden);
  const MatView<float> wide = s.wide.mat(frames, config.intermediate());
  const MatView<float> branch = s.branch.mat(frames, config.hidden);

  clamped_norm(compute, clip, h, weights.pre_norm, config.eps, normed);
  clipped_linear(compute, weights.up, normed, normed, wide);
  sigmoid_mul(compute, wide, wide, wide);
  clipped_linear(compute, weights.down, wide, wide, branch);
  clamped_norm(compute, clip, branch, weights.post_norm, config.eps, branch);
  for_rows(compute, frames, [&](std::size_t row) {
    compute.kernels.scale_add(config.residual_weight, branch.row(row).data(), config.hidden, h.row(row).data());
  });
}

// h += norm(clamp(output attention(norm(clamp(h))))).
void attend(const Compute& compute, const AudioConfig& config, const ConformerWeights& weights, MatView<float> h,
            ConformerScratch& s) {
  const std::size_t frames = h.rows();
  const ClipRange clip{-config.clip, config.clip};
  const MatView<float> normed = s.normed.mat(frames, config.hidden);
  const MatView<float> branch = s.branch.mat(frames, config.hidden);

  clamped_norm(compute, clip, h, weights.pre_attention_norm, config.eps, normed);
  audio_attention(compute, config, weights.attention, normed, s, branch);
  clamped_norm(compute, clip, branch, weights.post_attention_norm, config.eps, branch);
  add(compute, branch, h);
}

// out[t] = sum over i < conv_width of kernel[i] * x[t - conv_width + 1 + i], channel by channel, zeros before the first
// frame. Reference: Gemma4AudioCausalConv1d.
void depthwise_conv(const Compute& compute, const AudioConfig& config, std::span<const float> kernel,
                    MatView<const float> x, MatView<float> out) {
  for_rows(compute, x.rows(), [&](std::size_t t) {
    const std::span<float> sum = out.row(t);
    std::fill(sum.begin(), sum.end(), 0.0F);
    for (std::size_t i = 0; i < config.conv_width; ++i) {
      if (t + i + 1 < config.conv_width) continue;
      const float* frame = x.row(t + i + 1 - config.conv_width).data();
      const float* weight = kernel.data() + i * config.hidden;
      for (std::size_t c = 0; c < config.hidden; ++c) sum[c] += weight[c] * frame[c];
    }
  });
}

// h += end silu(norm(clamp(conv(glu(start norm(h)))))). Reference: Gemma4AudioLightConv1d.forward.
void light_conv(const Compute& compute, const AudioConfig& config, const LightConvWeights& weights, MatView<float> h,
                ConformerScratch& s) {
  const std::size_t frames = h.rows();
  const MatView<float> normed = s.normed.mat(frames, config.hidden);
  const MatView<float> doubled = s.wide.mat(frames, 2 * config.hidden);
  const MatView<float> branch = s.branch.mat(frames, config.hidden);

  rms_norm(compute, h, weights.pre_norm, config.eps, normed);
  clipped_linear(compute, weights.start, normed, normed, doubled);
  sigmoid_mul(compute, doubled.col_range(config.hidden, config.hidden), doubled.col_range(0, config.hidden), normed);
  depthwise_conv(compute, config, weights.kernel, normed, branch);
  clamped_norm(compute, {-config.clip, config.clip}, branch, weights.conv_norm, config.eps, branch);
  sigmoid_mul(compute, branch, branch, normed);
  clipped_linear(compute, weights.end, normed, normed, branch);
  add(compute, branch, h);
}

}  // namespace

ConformerScratch::ConformerScratch(const AudioConfig& config, std::size_t frames)
    : normed(frames * config.hidden, "audio activations"),
      clipped(frames * config.hidden, "audio activations"),
      wide(frames * config.intermediate(), "audio activations"),
      branch(frames * config.hidden, "audio activations"),
      query(frames * config.hidden, "audio activations"),
      key(frames * config.hidden, "audio activations"),
      value(frames * config.hidden, "audio activations"),
      distances(kAudioWindow * config.hidden, "audio activations"),
      relative_keys(kAudioWindow * config.hidden, "audio activations") {
  // Gemma4AudioRelPositionalEncoding: timescales from 1 to 10000, geometrically.
  const std::size_t half = config.hidden / 2;
  const double step = std::log(10'000.0) / static_cast<double>(std::max<std::size_t>(half - 1, 1));
  for (std::size_t distance = 0; distance < kAudioWindow; ++distance) {
    float* row = distances.data() + distance * config.hidden;
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(distance) * std::exp(-step * static_cast<double>(i));
      row[i] = static_cast<float>(std::sin(angle));
      row[half + i] = static_cast<float>(std::cos(angle));
    }
  }
}

void conformer_block(const Compute& compute, const AudioConfig& config, const ConformerWeights& weights,
                     MatView<float> h, ConformerScratch& scratch) {
  feed_forward(compute, config, weights.feed_forward_1, h, scratch);
  attend(compute, config, weights, h, scratch);
  light_conv(compute, config, weights.conv, h, scratch);
  feed_forward(compute, config, weights.feed_forward_2, h, scratch);
  clamped_norm(compute, {-config.clip, config.clip}, h, weights.output_norm, config.eps, h);
}

}  // namespace carat
