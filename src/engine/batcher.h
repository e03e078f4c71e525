// Batcher: the sequences that run, and the steps that move all of them on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "decoder/page_pool.h"
#include "engine/draft_depth.h"
#include "engine/pending_answer.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"
#include "engine/step_costs.h"
#include "engine/step_runner.h"

namespace carat {

struct BatcherOptions {
  KvCacheOptions kv;  // context and chunk are the sequences' limit and the rows of a step
  std::size_t kv_budget = 0;
  std::size_t most_rows = 0;  // of a step that computes a picture as a whole
  std::size_t max_running = 1;
};

// Used by the engine's thread only.
class Batcher {
 public:
  // runner must outlive this.
  Batcher(StepRunner& runner, const BatcherOptions& options);

  // True when the answer can be begun: there is a place for it, and memory for its prompt.
  bool has_room_for(const PendingAnswer& answer) const;
  // Begins it: sends Started; its prompt is computed by the steps that follow. Where that fails, the answer ends.
  void admit(const std::shared_ptr<PendingAnswer>& answer);

  bool has_work() const { return !running_.empty() || !preempted_.empty(); }

  // Computes one step and sends its events. has_arrivals is asked while a long prompt is computed alone: when somebody
  // new could be let in beside it, the step is given up and made again with both. is_stopping ends any step. Throws
  // where not even the plan could be made, for want of memory: then end_youngest().
  void step(const std::function<bool()>& has_arrivals, const std::function<bool()>& is_stopping);

  void end_cancelled();
  void end_all(const Finished& finished);
  // Ends the sequence that came last, so that the others may go on.
  void end_youngest(const std::exception& failure);

  struct Counters {
    std::uint64_t steps = 0;
    std::uint64_t preempted = 0;
    std::uint64_t finished = 0;  // answers
    std::uint64_t cancelled = 0;
    std::uint64_t failed = 0;
    std::uint64_t prompt_tokens = 0;
    std::uint64_t cached_tokens = 0;
    std::uint64_t completion_tokens = 0;
    std::uint64_t guessed_tokens = 0;
    std::uint64_t accepted_guesses = 0;
  };
  const Counters& counters() const { return counters_; }
  std::size_t running() const { return running_.size() + preempted_.size(); }
  std::size_t kv_bytes() const { return pool_.used_bytes(); }
  std::size_t cached_bytes() const { return prefixes_.bytes(); }

  // Ends an answer that has no sequences: one that was still waiting. Sends Finished for every choice, and Done.
  void end_waiting(PendingAnswer& answer, const Finished& finished);

 private:
  using Clock = PendingAnswer::Clock;

  struct Running {
    std::shared_ptr<PendingAnswer> answer;
    Sequence sequence;
    std::vector<float> state;  // StepRunner::hidden of the token before the newest; empty where nobody guesses
    bool is_over = false;
  };
  // Of a step that computes a lone sequence's newest token and, behind it, guesses.
  struct Round {
    std::vector<std::int32_t> guesses;  // maybe none
    double guess_seconds = 0;
    Clock::time_point begun;  // after guessing
  };
  // Rows of a sequence in the step at hand.
  struct Planned {
    Running* running = nullptr;
    std::size_t rows = 0;
    std::size_t before = 0;         // Sequence::computed at the step's begin
    std::size_t tokens_before = 0;  // and how many tokens there were
    std::optional<Round> round;
  };
  // A sequence whose next token is drawn from a row of logits.
  struct Drawing {
    Running* running = nullptr;
    std::span<float> logits;
    std::vector<float> own_logits;  // of a choice that shares its row with others
    Sequence::Drawn drawn;
    std::exception_ptr failure;
  };

  void begin(const std::shared_ptr<PendingAnswer>& answer);
  Running make_running(std::shared_ptr<PendingAnswer> answer, std::size_t choice, KvCache cache) const;
  // Takes over what is cached of the sequence's tokens; nothing where memory runs out.
  PrefixCache::Match adopt_prefix(Running& running);
  PrefixCache::Match find_prefix(const Running& running);
  void remember(const Running& running, bool is_at_end);
  bool fits(std::size_t tokens) const;
  void resume_preempted();
  void preempt(std::size_t index);

  std::vector<Planned> plan();
  void make_room(std::vector<Planned>& planned);
  // Makes room for one; false where it had to be ended.
  bool make_room(Planned& planned, std::vector<Planned>& all);
  // Computes these rows; where that fails, each sequence alone, so that only those end that can't be computed.
  void compute(std::span<const Planned> planned, const std::function<bool()>& should_stop);
  // The sequence's next rows, as Batch wants them.
  static void add_rows(const Planned& planned, std::size_t index, std::vector<BatchRow>& all);
  void forward(std::span<const Planned> planned, const std::function<bool()>& should_stop);
  // Moves every sequence on by the rows that were computed. Where that fails for want of memory, the last of them ends,
  // and what has got no token goes back to where the step began.
  void advance(std::span<const Planned> planned);
  void draw_and_take(std::span<const Planned> planned);
  // Has what follows the newest token guessed, where it is the only row of the step and its sequence runs alone. With
  // others beside it a step's rows share each read of the weights already, and guesses would make everybody wait.
  void guess(std::span<Planned> planned);
  std::size_t most_guesses(const Running& running) const;
  // Keeps the hidden state of a row, from whose logits the sequence's next token is drawn.
  void keep_state(Running& running, std::size_t row);
  // Draws from the logits of a round's rows, one after the other, for as long as what is drawn was guessed: what it
  // draws is what steps of one row would have drawn.
  void draw_round(const Planned& planned);
  void add_drawings(Running& running, std::span<float> logits, std::vector<Drawing>& drawings);
  void draw(std::vector<Drawing>& drawings);
  // Adds a hidden state to those that make up the prompt's vector; the last one ends the answer.
  void add_to_embedding(Running& running, std::size_t position, std::span<const float> hidden);
  void add_prompt_logprob(PendingAnswer& answer, std::size_t position, std::span<const float> logits) const;

  void take(Running& running, Sequence::Drawn drawn);
  // `how` says reason and error; the rest is the sequence's.
  void end(Running& running, const Finished& how);
  void end_choice(PendingAnswer& answer, std::size_t choice, Finished finished);
  void end_unforked(PendingAnswer& answer, const Finished& finished);
  void forget_ended();

  StepRunner& runner_;
  BatcherOptions options_;
  PagePool pool_;
  PrefixCache prefixes_;
  StepCosts costs_;
  DraftDepth depth_;
  Counters counters_;
  std::vector<std::unique_ptr<Running>> running_;   // in the order in which they were let in
  std::deque<std::unique_ptr<Running>> preempted_;  // gave up their pages; the first to be let in again
};

}  // namespace carat
