#include "cli/generation_race.h"

#include <algorithm>
#include <utility>

#include "cli/stopwatch.h"

namespace carat {
namespace {

constexpr std::size_t kChunk = 512;  // rows of a prompt that go through the model at once

}  // namespace

GenerationRace::GenerationRace(std::shared_ptr<const Model> model, const ComputeOptions& compute, DType kv_type,
                               std::size_t sequences, std::size_t length)
    : model_(std::move(model)),
      context_(compute),
      decoder_(model_->config().decoder, model_->weights()),
      scratch_(model_->config().decoder, std::max(kChunk, sequences)),
      logits_(sequences * model_->config().decoder.vocab, "logits") {
  const std::size_t chunk = std::min(kChunk, length);
  const KvCacheOptions options{kv_type, kv_type, length, chunk, chunk};
  for (std::size_t i = 0; i < sequences; ++i) caches_.emplace_back(model_->config().decoder, options, pages_);
  for (KvCache& cache : caches_) cache_list_.push_back(&cache);
}

std::vector<BatchRow> GenerationRace::rows_of(std::size_t sequence, std::size_t first, std::size_t count,
                                              bool want_logits, Random& random) const {
  std::vector<BatchRow> rows;
  for (std::size_t i = first; i < first + count; ++i) {
    const auto token = static_cast<std::int32_t>(random.next() % model_->config().decoder.vocab);
    rows.push_back({.token = token, .sequence = sequence, .position = i, .wants_logits = want_logits});
  }
  return rows;
}

void GenerationRace::forward(std::vector<BatchRow> rows) {
  const Batch batch{std::move(rows), cache_list_};
  const MatView<const float> hidden = decoder_.forward(context_.compute(), batch, scratch_, nullptr);
  if (hidden.empty()) return;
  decoder_.logits(context_.compute(), hidden, logits_.mat(hidden.rows(), model_->config().decoder.vocab));
}

double GenerationRace::run(std::size_t depth, std::size_t steps, Random& random, Profile* profile) {
  for (std::size_t sequence = 0; sequence < caches_.size(); ++sequence) {
    caches_[sequence].clear();
    for (std::size_t first = 0; first < depth; first += kChunk) {
      const std::size_t count = std::min(kChunk, depth - first);
      caches_[sequence].make_room(first, first + count);
      forward(rows_of(sequence, first, count, false, random));
    }
  }
  context_.set_profile(profile);
  const Stopwatch watch;
  for (std::size_t step = depth; step < depth + steps; ++step) {
    std::vector<BatchRow> rows;
    for (std::size_t sequence = 0; sequence < caches_.size(); ++sequence) {
      caches_[sequence].make_room(step, step + 1);
      rows.push_back(rows_of(sequence, step, 1, true, random).front());
    }
    forward(std::move(rows));
  }
  const double seconds = watch.seconds();
  context_.set_profile(nullptr);
  return seconds;
}

}  // namespace carat
