// GuessRounds: multi-token prediction: an assistant guesses what follows a sequence's newest token, and one step checks
// all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/draft_depth.h"
#include "engine/pending_answer.h"
#include "engine/running_sequences.h"
#include "engine/step_runner.h"

namespace carat {

// A step of one sequence: its newest token and, behind it, guesses.
struct GuessRound {
  std::vector<std::int32_t> guesses;  // maybe none
  double guess_seconds = 0;
  PendingAnswer::Clock::time_point begun;  // after guessing
};

// Used by the engine's thread only.
class GuessRounds {
 public:
  // kv: what the sequences' caches are made by. The others must outlive this.
  GuessRounds(StepRunner& runner, RunningSequences& sequences, const KvCacheOptions& kv);

  // Keeps the hidden state of a row, from whose logits the sequence's next token is drawn.
  void keep_state(RunningSequence& running, std::size_t row);

  // True where the one row that the next step would compute of this sequence may become a round. With others beside it
  // a step's rows share each read of the weights already, and guesses would make everybody wait.
  bool can_begin(const RunningSequence& running) const;
  GuessRound begin(RunningSequence& running);
  // Draws from the logits of the round's rows, one after the other, for as long as what is drawn was guessed: what it
  // draws is what steps of one row would have drawn. before: Sequence::computed when the step began.
  void draw(RunningSequence& running, const GuessRound& round, std::size_t before);

  struct Counters {
    std::uint64_t guessed_tokens = 0;
    std::uint64_t accepted_guesses = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  std::size_t most_guesses(const RunningSequence& running) const;

  StepRunner& runner_;
  RunningSequences& sequences_;
  KvCacheOptions kv_;
  DraftDepth depth_;
  Counters counters_;
};

}  // namespace carat
