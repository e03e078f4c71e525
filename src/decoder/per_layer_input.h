// Per-layer embeddings (PLE): a second embedding per token and layer that each layer mixes in at its end (E2B, E4B).
#pragma once

#include <cstddef>
#include <span>

#include "base/view.h"
#include "decoder/batch.h"
#include "decoder/config.h"
#include "decoder/scratch.h"
#include "decoder/weights.h"
#include "nn/compute.h"

namespace carat {

// The inputs of layers [first_layer, first_layer + layers):
// ple[row] = (table[token] * sqrt(ple_dim) + norm(projection embedding * hidden^-1/2)) / sqrt(2), the norm per layer.
// with token = kPadToken where a soft row stands. embedding: [rows, hidden], what enters layer 0, soft rows included;
// ple: [rows, layers * ple_dim]. Reference: Gemma4TextModel.get_per_layer_inputs, project_per_layer_inputs. Throws
// Error(kBadFile) when the table can't be read.
void per_layer_inputs(const Compute& compute, const DecoderConfig& config, const DecoderWeights& weights,
                      std::size_t first_layer, std::span<const BatchRow> rows, MatView<const float> embedding,
                      MatView<float> ple, Scratch& scratch);

// out = norm(projection(gelu_tanh(gate h) * ple)). h, out: [rows, hidden]; ple: [rows, ple_dim], this layer's columns.
// Reference: Gemma4TextDecoderLayer.forward.
void per_layer_block(const Compute& compute, const DecoderConfig& config, const PerLayerInputWeights& weights,
                     MatView<const float> h, MatView<const float> ple, MatView<float> out, Scratch& scratch);

}  // namespace carat
