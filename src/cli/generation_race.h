// GenerationRace: several sequences that generate side by side, a token each a step, for `carat bench --sequences`.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "decoder/decoder.h"
#include "decoder/kv_cache.h"
#include "engine/compute_context.h"
#include "model/model.h"
#include "sampling/random.h"

namespace carat {

class GenerationRace {
 public:
  // Room for `length` tokens in each of the sequences. Throws Error(kOutOfMemory).
  GenerationRace(std::shared_ptr<const Model> model, const ComputeOptions& compute, DType kv_type,
                 std::size_t sequences, std::size_t length);

  // Seconds that `steps` steps take, each a random token of every sequence and the logits after it, behind `depth`
  // tokens. depth + steps is at most the length. profile may be null.
  double run(std::size_t depth, std::size_t steps, Random& random, Profile* profile);

 private:
  std::vector<BatchRow> rows_of(std::size_t sequence, std::size_t first, std::size_t count, bool want_logits,
                                Random& random) const;
  void forward(std::vector<BatchRow> rows);

  std::shared_ptr<const Model> model_;
  ComputeContext context_;
  Decoder decoder_;
  PagePool pages_;
  std::vector<KvCache> caches_;
  std::vector<KvCache*> cache_list_;
  Scratch scratch_;
  AlignedBuffer<float> logits_;  // [sequences, vocab]
};

}  // namespace carat
