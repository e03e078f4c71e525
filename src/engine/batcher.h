// Batcher: the steps that move all running sequences on: each is planned, computed, and drawn from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <span>
#include <vector>

#include "engine/guess_rounds.h"
#include "engine/running_sequences.h"
#include "engine/step_costs.h"
#include "engine/step_plan.h"
#include "engine/step_runner.h"

namespace carat {

struct BatcherOptions {
  KvCacheOptions kv;          // as the sequences'; its chunk is the rows of a step
  std::size_t most_rows = 0;  // of a step that computes a picture as a whole
  std::size_t max_running = 1;
};

// Used by the engine's thread only.
class Batcher {
 public:
  // runner and sequences must outlive this.
  Batcher(StepRunner& runner, RunningSequences& sequences, const BatcherOptions& options);

  // Computes one step and sends its events. has_arrivals is asked while a long prompt is computed alone: when somebody
  // new could be let in beside it, the step is given up and made again with both. is_stopping ends any step. Throws
  // where not even the plan could be made, for want of memory: then the youngest sequence should end; and where the
  // model's file has changed underneath: then all should.
  void step(const std::function<bool()>& has_arrivals, const std::function<bool()>& is_stopping);

  std::uint64_t steps() const { return steps_; }
  const GuessRounds::Counters& guesses() const { return rounds_.counters(); }

 private:
  // A sequence whose next token is drawn from a row of logits.
  struct Drawing {
    RunningSequence* running = nullptr;
    std::span<float> logits;
    std::vector<float> own_logits;  // of a choice that shares its row with others
    Sequence::Drawn drawn;
    std::exception_ptr failure;
  };
  // A row whose logits or hidden state somebody asked for.
  struct WantedRow {
    RunningSequence* running = nullptr;
    std::size_t position = 0;
  };

  void make_room(std::vector<PlannedRows>& planned);
  // Makes room for one; false where it had to be ended or has lost its own pages.
  bool make_room(PlannedRows& planned, std::vector<PlannedRows>& all);
  // Computes these rows; where that fails, each sequence alone, so that only those end that can't be computed.
  void compute(std::span<const PlannedRows> planned, const std::function<bool()>& should_stop);
  void forward(std::span<const PlannedRows> planned, const std::function<bool()>& should_stop);
  // Moves every sequence on by the rows that were computed. Where that fails for want of memory, the last of them ends,
  // and what has got no token goes back to where the step began.
  void advance(std::span<const PlannedRows> planned);
  // The rows that somebody asked for, in the order of the batch. From here on all rows count as computed.
  std::vector<WantedRow> count_as_computed(std::span<const PlannedRows> planned);
  // Gives each row to whoever asked for it; most of all, draws the next tokens.
  void hand_out(std::span<const WantedRow> wanted);
  // The sequence, and where it is at the end of a prompt that several answers share, the others.
  void add_drawings(RunningSequence& running, std::span<float> logits, std::vector<Drawing>& drawings);
  void draw_and_take(std::vector<Drawing>& drawings);

  StepRunner& runner_;
  RunningSequences& sequences_;
  BatcherOptions options_;
  StepCosts costs_;
  GuessRounds rounds_;
  std::uint64_t steps_ = 0;
};

}  // namespace carat
