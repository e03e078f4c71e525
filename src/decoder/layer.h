// One decoder layer.
#pragma once

#include "base/view.h"
#include "decoder/config.h"
#include "decoder/scratch.h"
#include "decoder/step.h"
#include "decoder/weights.h"
#include "nn/compute.h"
#include "nn/trace.h"

namespace carat {

// h: [rows, hidden], read and written. ple: [rows, ple_dim], this layer's inputs; empty in models without.
// Reference: Gemma4TextDecoderLayer.forward (transformers, modeling_gemma4.py).
void layer_forward(const Compute& compute, const DecoderConfig& config, const LayerConfig& layer,
                   const LayerWeights& weights, const Step& step, MatView<const float> ple, MatView<float> h,
                   Scratch& scratch, Trace* trace);

}  // namespace carat
