// Engine: answers many requests at once with one model.
//
// One thread owns all that changes: the pages of keys and values, the prefix cache, every sequence. Requests reach it
// by a queue; between two steps it takes what is new, forgets what was cancelled, and asks the scheduler (scheduler.h)
// for the rows of the next step: one of each answer being generated, and a chunk of those whose prompts are being
// computed. What a sequence becomes does not depend on what else is in the batch.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "engine/answerer.h"
#include "engine/compute_context.h"
#include "model/model.h"
#include "sampling/token_constraint.h"

namespace carat {

class Assistant;
class StepRunner;

// Makes the constraint that a request's format, tools and tool choice ask for; null where they ask for none. Called on
// the submitting thread. Throws Error(kBadInput, kUnsupported) naming what can't be honoured.
using ConstraintFactory = std::function<std::unique_ptr<TokenConstraint>(const Request& request, const Tokenizer&)>;

struct EngineOptions {
  std::string name;              // ModelInfo::name
  std::size_t context = 0;       // tokens a sequence may reach; 0: the model's, at most 32768 and what the budget holds
  std::size_t kv_budget = 0;     // bytes of keys and values, cached ones included; 0: a third of what is free
  DType kv_type = DType::kF16;   // kF32, kF16, kBF16 or kQ8_0
  std::size_t max_running = 16;  // sequences in a batch
  std::size_t max_queued = 256;  // requests that wait; more are refused (BusyError)
  std::size_t chunk = 256;       // most rows of a step
  // Guesses tokens while a single answer is generated; of that model. Null for none. Answers stay the same to the bit.
  std::shared_ptr<const Assistant> assistant;
  ConstraintFactory constraints;  // absent: that of grammars (answer_constraint.h)
};

class Engine final : public Answerer {
 public:
  // Throws Error(kOutOfMemory), naming what is needed and free, where not even one sequence of that context would fit;
  // Error(kBadInput) for options out of range; Error(kBadFile) for a template that can't be read.
  Engine(std::shared_ptr<const Model> model, const ComputeOptions& compute, EngineOptions options);
  // Over anything that computes steps: for scripts and tests.
  Engine(std::unique_ptr<StepRunner> runner, EngineOptions options);
  ~Engine() override;

  AnswerHandle submit(Request request, Listener listener) override;
  RenderedPrompt render(const Request& request) const override;
  EngineStatus status() const override;
  const ModelInfo& info() const override;
  const Tokenizer& tokenizer() const override;
  void drain() override;
  void stop() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace carat
