// StepRunner: what computes the steps of the engine: a model, or a script that stands in for one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decoder/batch.h"
#include "engine/answerer.h"
#include "engine/compute_context.h"
#include "engine/media_span.h"
#include "model/model.h"

namespace carat {

class Assistant;

// The tokens of a sequence so far, of which `prompt` were asked and the rest generated.
struct TokenHistory {
  std::span<const std::int32_t> tokens;
  std::size_t prompt = 0;
};

// Used by the engine's thread only, except for the const functions.
class StepRunner {
 public:
  virtual ~StepRunner() = default;

  // What KV caches are laid out by; without layers, where there is nothing to keep.
  virtual const DecoderConfig& config() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  // All but the name and the context that the engine allows.
  virtual const ModelInfo& info() const = 0;
  // False once the files underneath have changed: nothing that is computed from then on can be trusted.
  virtual bool is_intact() const = 0;
  static constexpr std::string_view kChangedFile =
      "the model's file has changed since it was loaded; what it computes can't be trusted any more. Load it again.";

  // Computes the rows of a step (at most the `chunk` the runner was made for), whose caches have room. histories: of
  // the sequences, by BatchRow::sequence. should_stop is asked now and then; when it says so, Error(kCancelled).
  // Whatever is thrown, what the caches held before the step's rows is untouched, and the step can be tried again.
  virtual void forward(const Batch& batch, std::span<const TokenHistory> histories,
                       const std::function<bool()>& should_stop) = 0;
  // Logits after rows [first, first + rows) of those that wanted them in the last forward: [rows, vocab], valid, and
  // the caller's to change, until the next call. rows <= kLogitRows.
  static constexpr std::size_t kLogitRows = 32;
  virtual MatView<float> logits(std::size_t first, std::size_t rows) = 0;

  // Hidden states of the same rows after the decoder's final norm: [rows, hidden], valid until the next forward.
  virtual MatView<const float> hidden(std::size_t first, std::size_t rows) = 0;

  // True where an assistant guesses what follows (multi-token prediction).
  virtual bool can_guess() const { return false; }
  // The `count` tokens, or fewer, that are thought likeliest to follow `token`, which is the newest of a sequence and
  // would be computed next, at `position`; cache holds the keys and values before it, sliding layers those of the
  // window and of kGuessSlack positions behind it. state: [hidden], as hidden() of the token before. May change what
  // hidden() gave out. Throws where memory runs out.
  virtual std::vector<std::int32_t> guess(KvCache& cache, std::size_t position, std::int32_t token,
                                          std::span<const float> state, std::size_t count);
  static constexpr std::size_t kGuessSlack = 2;  // decoder/drafter.cpp: drafters see one key more, from a row before

  // A picture or a sound as the model takes it. `where` begins messages. Any thread may ask, also while a step is
  // computed. Throws Error(kUnsupported) where the model can't take it, Error(kBadInput) for a damaged file.
  virtual SharedSoftTokens encode(const MediaPart& part, const std::string& where) = 0;
  static constexpr std::size_t kLargestPicture = 1120;  // soft tokens
  // The ids that stand for media in a prompt.
  virtual MediaTokenIds media_tokens() const = 0;

  // For what the engine does between steps.
  virtual ThreadPool& pool() = 0;
};

// Over a model. chunk: most rows of a step. assistant: of that model; null for none.
std::unique_ptr<StepRunner> make_model_runner(std::shared_ptr<const Model> model, const ComputeOptions& compute,
                                              std::size_t chunk, std::shared_ptr<const Assistant> assistant = nullptr);

}  // namespace carat
