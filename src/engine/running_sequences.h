// RunningSequences: the sequences that run, from their answer's admission to their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "engine/answer_ends.h"
#include "engine/pending_answer.h"
#include "engine/sequence.h"
#include "engine/sequence_memory.h"
#include "engine/step_runner.h"

namespace carat {

struct RunningSequence {
  std::shared_ptr<PendingAnswer> answer;
  Sequence sequence;
  std::vector<float> state;  // StepRunner::hidden of the token before the newest; empty where nobody guesses
  bool is_over = false;
};

struct RunningOptions {
  KvCacheOptions kv;  // of each sequence
  std::size_t kv_budget = 0;
  std::size_t max_running = 1;
};

// Used by the engine's thread only.
class RunningSequences {
 public:
  // runner and ends must outlive this.
  RunningSequences(const StepRunner& runner, AnswerEnds& ends, const RunningOptions& options);

  // True when the answer can be begun: there is a place for it, and memory for its prompt.
  bool has_room_for(const PendingAnswer& answer) const;
  // Begins it: sends Started; its prompt is computed by the steps that follow. Where that fails, the answer ends.
  void admit(const std::shared_ptr<PendingAnswer>& answer);
  // At the end of a prompt that several answers share, the sequences of the others, which run from here on; none where
  // they have parted before. Where this throws, they have not parted.
  std::vector<RunningSequence*> fork(const RunningSequence& running);

  // In the order in which they were let in; without those that gave up their pages.
  std::span<const std::unique_ptr<RunningSequence>> active() const { return active_; }
  std::size_t count() const { return active_.size() + preempted_.size(); }
  const SequenceMemory& memory() const { return memory_; }

  // Takes the youngest's pages from it: what was computed is computed again later.
  void preempt_youngest();
  // Lets those go on that gave up their pages, as far as they fit.
  void resume_preempted();

  // The sequence's next token; sends its events. After the last of them, the choice ends.
  void take(RunningSequence& running, Sequence::Drawn drawn);
  // Puts what is computed of the sequence into the prefix cache.
  void remember(const RunningSequence& running) { memory_.remember(*running.answer, running.sequence, false); }

  // Each ends sequences, of which forget_ended() then frees the memory. `how` says reason and error; the rest is the
  // sequence's.
  void end(RunningSequence& running, const Finished& how);
  void end_cancelled();
  void end_all(const Finished& how);
  // The one that came last, so that the others may go on.
  void end_youngest(const std::exception& failure);
  void forget_ended();

  struct Counters {
    std::uint64_t preempted = 0;
    std::uint64_t prompt_tokens = 0;
    std::uint64_t cached_tokens = 0;  // of these, not computed again
  };
  const Counters& counters() const { return counters_; }

 private:
  void begin(const std::shared_ptr<PendingAnswer>& answer);
  RunningSequence make(std::shared_ptr<PendingAnswer> answer, std::size_t choice, KvCache cache) const;

  const StepRunner& runner_;
  AnswerEnds& ends_;
  RunningOptions options_;
  SequenceMemory memory_;
  Counters counters_;
  std::vector<std::unique_ptr<RunningSequence>> active_;
  std::deque<std::unique_ptr<RunningSequence>> preempted_;  // the first to be let in again
};

}  // namespace carat
