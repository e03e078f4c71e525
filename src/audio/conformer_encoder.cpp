#include "audio/conformer_encoder.h"

#include <algorithm>

#include "audio/conformer.h"
#include "audio/mel.h"
#include "audio/project.h"
#include "audio/subsample.h"
#include "base/error.h"

namespace carat {
namespace {

void record(Trace* trace, std::string_view name, MatView<const float> values) {
  if (trace != nullptr) trace->tensor(name, values);
}

}  // namespace

std::size_t conformer_soft_tokens(std::size_t samples) {
  std::size_t frames = valid_mel_frames(std::min(samples, kMaxSoundSamples));
  for (std::size_t i = 0; i < kSubsampleLayers; ++i) frames = (frames + 1) / 2;
  return frames;
}

SoftTokens ConformerEncoder::encode(const Compute& compute, std::span<const float> samples, Trace* trace) const {
  samples = samples.first(std::min(samples.size(), kMaxSoundSamples));
  const std::size_t rows = conformer_soft_tokens(samples.size());
  require_sound(rows, samples.size());

  const LogMel mel = log_mel(compute.pool, samples);
  record(trace, "audio.mel", mel.all());

  const AlignedBuffer<float> hidden(rows * config_.hidden, "audio activations");
  const MatView<float> h = hidden.mat(rows, config_.hidden);
  subsample(compute, config_, weights_, mel.heard(), h);
  record(trace, "audio.subsampled", h);

  ConformerScratch scratch(config_, rows);
  for (std::size_t layer = 0; layer < config_.layers; ++layer) {
    conformer_block(compute, config_, weights_.layers[layer], h, scratch);
    record(trace, str("audio.layer.", layer), h);
  }

  const AlignedBuffer<float> outputs(rows * config_.output, "audio activations");
  const MatView<float> out = outputs.mat(rows, config_.output);
  compute.matmul(h, weights_.output, out);
  for_rows(compute, rows, [&](std::size_t row) {
    compute.kernels.add(weights_.output_bias.data(), config_.output, out.row(row).data());
  });
  SoftTokens soft = project_sound(compute, out, config_.eps, weights_.projection);
  record(trace, "audio.soft_tokens", soft.rows());
  return soft;
}

}  // namespace carat
