#include "audio/project.h"

#include "audio/config.h"
#include "base/error.h"
#include "nn/norm.h"

namespace carat {

SoftTokens project_sound(const Compute& compute, MatView<float> x, float eps, const WeightMatrix& projection) {
  SoftTokens soft(MediaKind::kAudio, x.rows(), projection.rows);
  rms_norm(compute, x, {}, eps, x);
  compute.matmul(x, projection, soft.rows());
  return soft;
}

void require_sound(std::size_t soft_tokens, std::size_t samples) {
  if (soft_tokens > 0) return;
  throw Error(ErrorKind::kBadInput, str("the sound lasts ", samples * 1000 / kSampleRate,
                                        " ms; a model needs 20 ms at least to hear anything."));
}

}  // namespace carat
