// Drafter: the small decoder that proposes tokens which the target model then checks (multi-token prediction).
// Reference: modeling_gemma4_assistant.py; candidate_generator.py, SinglePositionMultiTokenCandidateGenerator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "decoder/decoder.h"
#include "decoder/scratch.h"
#include "decoder/weights.h"

namespace carat {

struct DrafterWeights {
  DecoderWeights decoder;                    // its own layers, final norm and output matrix
  WeightMatrix pre_projection;               // [hidden, 2 * target_hidden]
  WeightMatrix post_projection;              // [target_hidden, hidden]
  WeightMatrix centroid;                     // [centroids, hidden]; empty where there are none
  std::vector<std::int32_t> token_ordering;  // [vocab]: the tokens of centroid 0, those of centroid 1, and so on
};

// What a target offers a drafter at one place of a sequence.
struct DraftContext {
  const Decoder& target;
  KvCache& cache;                 // holds the keys of positions [0, position)
  std::size_t position = 0;       // of `token`
  std::int32_t token = 0;         // the newest token, whose keys are not in the cache yet
  std::span<const float> hidden;  // [target_hidden]: the target's final-normed state at position - 1
};

class Drafter {
 public:
  // config and weights must outlive this. Holds buffers: used by one thread at a time.
  Drafter(const DrafterConfig& config, const DrafterWeights& weights);

  // Proposes the likeliest `count` tokens that follow context.token. trace, which may be null, gets
  // "draft.input" [1, 2 * target_hidden], "draft.logits" [1, vocab] and "draft.hidden" [1, target_hidden] of each
  // step. In the logits of a drafter with centroids every token outside the chosen ones has their minimum less 1.
  std::vector<std::int32_t> propose(const Compute& compute, const DraftContext& context, std::size_t count,
                                    Trace* trace);

  static std::size_t bytes_needed(const DrafterConfig& config);

 private:
  // Runs the layers over one row at `position`: [1, hidden] in place.
  void run_layers(const Compute& compute, const DraftContext& context, MatView<float> h, Trace* trace);
  // Logits of every token, or of those in the best centroids: logits_ [vocab].
  void score(const Compute& compute, MatView<const float> h);

  const DrafterConfig& config_;
  const DrafterWeights& weights_;
  Scratch scratch_;
  AlignedBuffer<float> input_;            // [2 * target_hidden]: a token's embedding, then the state before it
  AlignedBuffer<float> state_;            // [hidden]
  AlignedBuffer<float> logits_;           // [vocab]
  AlignedBuffer<float> centroid_scores_;  // [centroids]
  std::vector<std::int32_t> order_;       // of centroids, by falling score
};

}  // namespace carat
