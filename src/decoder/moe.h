// Mixture of experts: the router and the routed experts of 26B-A4B.
#pragma once

#include <string_view>

#include "base/view.h"
#include "decoder/config.h"
#include "decoder/scratch.h"
#include "decoder/weights.h"
#include "nn/compute.h"
#include "nn/trace.h"

namespace carat {

// out[row] = sum over the `used` best experts e of weight[e] * expert_e(norm(h[row])), where
//   p = softmax(router (h / rms(h) * router_scale)) over all experts, the best `used` renormalised to sum 1,
//   weight[e] = p[e] * expert_scale[e],
//   expert_e(x) = down_e (gelu_tanh(gate_e x) * up_e x).
// h: [rows, hidden], the residual stream before any norm; out: [rows, hidden]. `name` begins the names of traced
// intermediates. Reference: Gemma4TextRouter.forward, Gemma4TextExperts.forward.
void moe(const Compute& compute, const DecoderConfig& config, const MoeWeights& weights, MatView<const float> h,
         MatView<float> out, Scratch& scratch, Trace* trace, std::string_view name);

}  // namespace carat
