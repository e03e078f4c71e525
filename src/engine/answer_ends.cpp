#include "engine/answer_ends.h"

#include <new>
#include <utility>

#include "base/error.h"

namespace carat {

Finished finished_for(FinishReason reason) {
  Finished finished;
  finished.reason = reason;
  return finished;
}

Finished finished_by(const std::exception& failure) {
  Finished finished = finished_for(FinishReason::kError);
  const auto* error = dynamic_cast<const Error*>(&failure);
  const bool is_memory = dynamic_cast<const std::bad_alloc*>(&failure) != nullptr;
  if (error != nullptr) finished.error_kind = error->kind();
  if (is_memory) finished.error_kind = ErrorKind::kOutOfMemory;
  try {
    finished.error = is_memory ? "there is not enough memory for this answer. Try again later." : failure.what();
  } catch (const std::bad_alloc&) {
    finished.error.clear();  // the kind says enough
  }
  return finished;
}

Finished copy_of(const Finished& finished) {
  try {
    return finished;
  } catch (const std::bad_alloc&) {
    Finished bare = finished_for(finished.reason);
    bare.error_kind = finished.error_kind;
    bare.completion_tokens = finished.completion_tokens;
    bare.reasoning_tokens = finished.reasoning_tokens;
    return bare;
  }
}

void AnswerEnds::end_choice(PendingAnswer& answer, std::size_t choice, Finished finished) {
  answer.usage.completion_tokens += finished.completion_tokens;
  answer.usage.reasoning_tokens += finished.reasoning_tokens;
  counters_.completion_tokens += finished.completion_tokens;
  const FinishReason reason = finished.reason;
  answer.send_body(choice, std::move(finished));
  ++answer.choices_over;
  if (!answer.is_over()) return;
  if (answer.first_token != PendingAnswer::Clock::time_point{}) {
    answer.timings.generation_seconds = seconds_between(answer.first_token, PendingAnswer::Clock::now());
  }
  ++counters_.finished;
  if (reason == FinishReason::kCancelled) ++counters_.cancelled;
  if (reason == FinishReason::kError) ++counters_.failed;
  answer.send_body(0, Done{answer.usage, answer.timings});
}

void AnswerEnds::end_unforked(PendingAnswer& answer, const Finished& finished) {
  answer.has_forked = true;
  for (std::size_t choice = 1; choice < answer.request.choices; ++choice) {
    Finished unstarted = copy_of(finished);
    unstarted.completion_tokens = 0;
    unstarted.reasoning_tokens = 0;
    end_choice(answer, choice, std::move(unstarted));
  }
}

void AnswerEnds::end_waiting(PendingAnswer& answer, const Finished& finished) {
  answer.usage.prompt_tokens = answer.prompt.ids.size();
  answer.timings.queued_seconds = seconds_between(answer.submitted, PendingAnswer::Clock::now());
  end_choice(answer, 0, copy_of(finished));
  end_unforked(answer, finished);
}

}  // namespace carat
