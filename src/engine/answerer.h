// Answerer: the one narrow interface between those who bring requests (server, command line) and those who answer them.
//
//   std::shared_ptr<Answerer> engine = ...;                 // Engine over a model, or over a script (scripted.h)
//   AnswerHandle answer = engine->submit(request, [&](Event&& event) { queue.push(std::move(event)); });
//   ... pop events until Done ...
//   answer.cancel();                                        // at any time, from any thread; Done still comes
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/model_info.h"
#include "engine/request.h"
#include "engine/stream.h"

namespace carat {

class Tokenizer;

// What a submit that can't be taken now throws: try again after that time.
class BusyError : public Error {
 public:
  BusyError(const std::string& message, std::size_t retry_seconds)
      : Error(ErrorKind::kBusy, message), retry_seconds_(retry_seconds) {}
  std::size_t retry_seconds() const noexcept { return retry_seconds_; }

 private:
  std::size_t retry_seconds_;
};

// The prompt alone doesn't fit into the context.
class ContextLengthError : public Error {
 public:
  ContextLengthError(std::size_t prompt_tokens, std::size_t context)
      : Error(ErrorKind::kBadInput, str("the prompt has ", prompt_tokens, " tokens, the context holds ", context,
                                        ", and an answer needs at least one. Shorten the conversation, or start with a "
                                        "longer context (--ctx).")),
        prompt_tokens_(prompt_tokens),
        context_(context) {}
  std::size_t prompt_tokens() const noexcept { return prompt_tokens_; }
  std::size_t context() const noexcept { return context_; }

 private:
  std::size_t prompt_tokens_, context_;
};

// One submitted request. A copy refers to the same answer. Dropping all copies does not end it: cancel() does.
class AnswerHandle {
 public:
  AnswerHandle() = default;
  explicit AnswerHandle(std::function<void()> cancel) : cancel_(std::move(cancel)) {}

  // Ends the answer within one step of the engine, wherever it is: queued, at its prompt, or being generated. Its
  // choices finish with kCancelled, then Done comes. Nothing happens when it is over. Any thread, any number of times.
  void cancel() const {
    if (cancel_) cancel_();
  }

 private:
  std::function<void()> cancel_;
};

// What the engine is at, for /metrics, /slots and admission. A snapshot.
struct EngineStatus {
  std::size_t queued = 0;  // submitted, not begun
  std::size_t queue_limit = 0;
  std::size_t running = 0;  // sequences, each choice counted
  std::size_t running_limit = 0;
  std::size_t kv_bytes = 0;         // held by running sequences and by the prefix cache
  std::size_t kv_cached_bytes = 0;  // of these, held by the prefix cache alone: given up when room is needed
  std::size_t kv_budget_bytes = 0;
  bool is_healthy = true;  // false: the model's file has changed underneath, or the engine is shutting down

  // Since the start.
  std::uint64_t requests = 0;
  std::uint64_t finished = 0;  // answers whose Done was sent, however they ended
  std::uint64_t cancelled = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;    // BusyError
  std::uint64_t preempted = 0;  // sequences that gave up their pages to others and were computed again
  std::uint64_t steps = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t guessed_tokens = 0;    // by an assistant
  std::uint64_t accepted_guesses = 0;  // of these, that came true
  double seconds_since_step = 0;       // while something runs: how long the step at hand has taken; a watchdog's food
};

// A prompt as the model gets it.
struct RenderedPrompt {
  std::string text;               // empty for a TokenPrompt
  std::vector<std::int32_t> ids;  // media as placeholders, as many as they take
};

// Every function may be called from any thread at any time; none but stop() waits for a step of the engine.
class Answerer {
 public:
  virtual ~Answerer() = default;

  // Checks the request, renders and tokenizes it (this may take milliseconds: not for a thread that must not block),
  // and queues it. Throws, before anything is begun: Error(kBadInput) for what the caller can mend (a template's
  // refusal, a parameter out of range), ContextLengthError, Error(kUnsupported) for what this model can't do (a picture
  // where it can't see), BusyError when the queue is full. After it has returned, Done will come exactly once.
  virtual AnswerHandle submit(Request request, Listener listener) = 0;

  // What submit would compute, without doing it: for /apply-template and for counting tokens. Throws as submit.
  virtual RenderedPrompt render(const Request& request) const = 0;

  virtual EngineStatus status() const = 0;
  virtual const ModelInfo& info() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;

  // No more requests are taken (BusyError); those that run or wait are finished. Returns at once; status().running and
  // .queued fall to 0.
  virtual void drain() = 0;

  // Cancels what is left and waits until all of it has ended: at most a step. No listener is called afterwards, and no
  // request is taken. The destructor does the same, but the last pointer may be a listener's, and what is destroyed on
  // the thread that calls listeners would wait for itself: whoever lets go of an engine that others may still use stops
  // it first. Not to be called by a listener.
  virtual void stop() = 0;
};

// Submits and waits: the whole answer, for those who don't stream.
struct WholeAnswer {
  struct ToolCall {
    std::string name;
    std::string arguments;  // JSON text
  };
  struct Choice {
    std::string reasoning;
    std::string content;
    std::string unparsed;
    std::vector<ToolCall> tool_calls;
    std::vector<TokenLogprob> logprobs;
    std::vector<TokenLogprob> prompt_logprobs;
    std::vector<float> embedding;
    Finished finished;
  };
  std::vector<Choice> choices;
  Usage usage;
  Timings timings;

  // Adds one event. True when it was the last.
  bool add(Event&& event);
};
WholeAnswer answer_whole(Answerer& answerer, Request request);

}  // namespace carat
