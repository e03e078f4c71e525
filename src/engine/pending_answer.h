// PendingAnswer: a request from submit to Done.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/mean_state.h"
#include "engine/prompt.h"
#include "engine/request.h"
#include "engine/stream.h"
#include "sampling/token_constraint.h"

namespace carat {

struct PendingAnswer {
  using Clock = std::chrono::steady_clock;

  // Set by submit, then constant.
  Request request;
  Listener listener;
  BuiltPrompt prompt;
  std::unique_ptr<const TokenConstraint> constraint;  // as the answer begins; null for none
  std::uint64_t seed = 0;
  Clock::time_point submitted = Clock::now();

  std::atomic<bool> is_cancelled{false};  // set by any thread, once

  // From here on the engine's thread alone.
  Usage usage;
  Timings timings;
  Clock::time_point begun;  // taken from the queue
  Clock::time_point first_token;
  bool has_begun = false;
  bool has_forked = false;  // all choices have a sequence of their own
  std::size_t choices_over = 0;
  std::vector<TokenLogprob> prompt_logprobs;
  bool has_prompt_logprobs = false;  // all of them, and they were sent
  MeanState embedding;

  void send(std::size_t choice, Event&& event) const {
    event.choice = choice;
    listener(std::move(event));
  }
  template <typename Body>
  void send_body(std::size_t choice, Body body) const {
    Event event;
    event.body.template emplace<Body>(std::move(body));
    send(choice, std::move(event));
  }
  bool is_over() const { return choices_over == request.choices; }
};

inline double seconds_between(PendingAnswer::Clock::time_point begin, PendingAnswer::Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

}  // namespace carat
