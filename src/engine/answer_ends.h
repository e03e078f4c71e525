// AnswerEnds: how answers end: every choice with Finished, the answer with Done, whatever happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>

#include "engine/pending_answer.h"
#include "engine/stream.h"

namespace carat {

// For that reason; the counts of tokens are 0 still.
Finished finished_for(FinishReason reason);
// By an error, with its kind and its words.
Finished finished_by(const std::exception& failure);
// Without its texts where there is no memory for them: an answer has to end in any case.
Finished copy_of(const Finished& finished);

// Used by the engine's thread only.
class AnswerEnds {
 public:
  // Sends Finished; after the last of the answer's choices, Done.
  void end_choice(PendingAnswer& answer, std::size_t choice, Finished finished);
  // Ends the choices that never came to a sequence of their own.
  void end_unforked(PendingAnswer& answer, const Finished& finished);
  // Ends an answer that has no sequences: one that was still waiting.
  void end_waiting(PendingAnswer& answer, const Finished& finished);

  struct Counters {
    std::uint64_t finished = 0;  // answers, of which:
    std::uint64_t cancelled = 0;
    std::uint64_t failed = 0;
    std::uint64_t completion_tokens = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  Counters counters_;
};

}  // namespace carat
