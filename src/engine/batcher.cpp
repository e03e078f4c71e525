#include "engine/batcher.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "engine/prompt_results.h"

namespace carat {
namespace {

using Clock = PendingAnswer::Clock;

// A step that computes one prompt alone may be given up for a newcomer when it is at least this long.
constexpr std::size_t kLongStep = 64;

}  // namespace

Batcher::Batcher(StepRunner& runner, RunningSequences& sequences, const BatcherOptions& options)
    : runner_(runner), sequences_(sequences), options_(options), rounds_(runner, sequences, options.kv) {}

// Oldest first; where memory runs out, the youngest gives up its pages and is computed again later.
bool Batcher::make_room(PlannedRows& planned, std::vector<PlannedRows>& all) {
  Sequence& sequence = planned.running->sequence;
  while (true) {
    try {
      sequence.cache.make_room(sequence.computed, sequence.computed + planned.rows);
      return true;
    } catch (const std::exception& failure) {
      const RunningSequence* youngest = sequences_.active().back().get();
      if (youngest == planned.running) {
        if (sequences_.active().size() > 1) {
          sequences_.preempt_youngest();
        } else {
          sequences_.end(*planned.running, finished_by(failure));
        }
        return false;
      }
      for (PlannedRows& other : all) {
        if (other.running == youngest) other.rows = 0;
      }
      sequences_.preempt_youngest();
    }
  }
}

void Batcher::make_room(std::vector<PlannedRows>& planned) {
  for (PlannedRows& one : planned) {
    if (one.rows != 0 && !make_room(one, planned)) one.rows = 0;
  }
  std::erase_if(planned, [](const PlannedRows& one) { return one.rows == 0; });
}

void Batcher::step(const std::function<bool()>& has_arrivals, const std::function<bool()>& is_stopping) {
  sequences_.resume_preempted();
  std::vector<PlannedRows> planned = plan_rows(sequences_.active(), {options_.kv.chunk, options_.most_rows}, costs_);
  make_room(planned);
  if (planned.size() == 1 && planned.front().rows == 1 && rounds_.can_begin(*planned.front().running)) {
    PlannedRows& one = planned.front();
    one.round = rounds_.begin(*one.running);
    one.rows += one.round->guesses.size();
  }
  if (!planned.empty()) {
    std::size_t prompt_rows = 0;
    std::size_t answer_rows = 0;
    for (const PlannedRows& one : planned) {
      const bool is_answer = one.running->sequence.generated() > 0 && (one.rows == 1 || one.round);
      (is_answer ? answer_rows : prompt_rows) += one.rows;
    }
    const bool is_long_and_alone = planned.size() == 1 && sequences_.active().size() == 1 && prompt_rows >= kLongStep;
    const PendingAnswer& first = *planned.front().running->answer;
    const auto should_stop = [&] {
      return is_stopping() ||
             (is_long_and_alone && (first.is_cancelled || (options_.max_running > 1 && has_arrivals())));
    };
    const Clock::time_point begin = Clock::now();
    const std::uint64_t steps = steps_;
    compute(planned, should_stop);
    const bool has_guesses = planned.front().rows > 1 && planned.front().round;  // not what a step takes otherwise
    if (steps_ == steps + 1 && !has_guesses) {
      costs_.add(prompt_rows, answer_rows, seconds_between(begin, Clock::now()));
    }
  }
  sequences_.forget_ended();
}

void Batcher::compute(std::span<const PlannedRows> planned, const std::function<bool()>& should_stop) {
  try {
    forward(planned, should_stop);
  } catch (const std::exception& failure) {
    if (!runner_.is_intact()) throw;  // no fault of these answers: everything ends
    const auto* error = dynamic_cast<const Error*>(&failure);
    if (error != nullptr && error->kind() == ErrorKind::kCancelled) return;  // the step is planned anew
    if (planned.size() == 1) return sequences_.end(*planned[0].running, finished_by(failure));
    for (const PlannedRows& one : planned) compute({&one, 1}, should_stop);
    return;
  }
  ++steps_;
  advance(planned);
}

void Batcher::forward(std::span<const PlannedRows> planned, const std::function<bool()>& should_stop) {
  std::vector<KvCache*> caches;
  std::vector<TokenHistory> histories;
  Batch batch;
  for (const PlannedRows& one : planned) {
    append_rows(one, caches.size(), batch.rows);
    Sequence& sequence = one.running->sequence;
    caches.push_back(&sequence.cache);
    histories.push_back({sequence.tokens(), one.running->answer->prompt.ids.size()});
  }
  batch.caches = caches;
  runner_.forward(batch, histories, should_stop);
}

void Batcher::advance(std::span<const PlannedRows> planned) {
  try {
    const PlannedRows& first = planned.front();
    if (first.round) return rounds_.draw(*first.running, *first.round, first.before);
    hand_out(count_as_computed(planned));
  } catch (const std::exception& failure) {
    for (const PlannedRows& one : planned) {
      Sequence& sequence = one.running->sequence;
      if (sequence.tokens().size() == one.tokens_before) sequence.computed = one.before;
    }
    // Choices that parted from the others in this step, and have not drawn: the row they share is computed again.
    for (const auto& running : sequences_.active()) {
      Sequence& sequence = running->sequence;
      sequence.computed = std::min(sequence.computed, sequence.tokens().size() - 1);
    }
    sequences_.end(*planned.back().running, finished_by(failure));
  }
}

std::vector<Batcher::WantedRow> Batcher::count_as_computed(std::span<const PlannedRows> planned) {
  std::vector<WantedRow> wanted;
  for (const PlannedRows& one : planned) {
    Sequence& sequence = one.running->sequence;
    const PendingAnswer& answer = *one.running->answer;
    const std::size_t before = sequence.computed;
    sequence.computed += one.rows;
    for (std::size_t i = before; i < sequence.computed; ++i) {
      const bool is_last = i + 1 == sequence.tokens().size();
      if (is_last || wants_every_row(answer.request)) wanted.push_back({one.running, i});
    }
    const std::size_t prompt = answer.prompt.ids.size();
    const bool is_prompt_done = before < prompt && sequence.computed >= prompt;
    if (is_prompt_done || sequence.computed / kPageTokens > before / kPageTokens) sequences_.remember(*one.running);
  }
  return wanted;
}

void Batcher::hand_out(std::span<const WantedRow> wanted) {
  const Vocab& vocab = runner_.tokenizer().vocab();
  const auto is_embedding = [&](std::size_t i) { return wanted[i].running->answer->request.wants_embedding; };
  std::size_t rows = 0;
  for (std::size_t first = 0; first < wanted.size(); first += rows) {
    rows = 1;
    if (is_embedding(first)) {
      const auto& [running, position] = wanted[first];
      if (add_to_embedding(*running->answer, position, runner_.hidden(first, 1).row(0), vocab)) {
        sequences_.end(*running, finished_for(FinishReason::kStop));
      }
      continue;
    }
    while (rows < StepRunner::kLogitRows && first + rows < wanted.size() && !is_embedding(first + rows)) ++rows;
    const MatView<float> logits = runner_.logits(first, rows);
    std::vector<Drawing> drawings;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto& [running, position] = wanted[first + row];
      add_prompt_logprob(*running->answer, position, logits.row(row), vocab);
      if (position + 1 != running->sequence.tokens().size()) continue;
      rounds_.keep_state(*running, first + row);
      add_drawings(*running, logits.row(row), drawings);
    }
    draw_and_take(drawings);
  }
}

void Batcher::add_drawings(RunningSequence& running, std::span<float> logits, std::vector<Drawing>& drawings) {
  Drawing& own = drawings.emplace_back();
  own.running = &running;
  own.logits = logits;
  for (RunningSequence* fork : sequences_.fork(running)) {
    Drawing& drawing = drawings.emplace_back();
    drawing.running = fork;
    drawing.own_logits.assign(logits.begin(), logits.end());
    drawing.logits = drawing.own_logits;
  }
}

void Batcher::draw_and_take(std::vector<Drawing>& drawings) {
  runner_.pool().parallel_for(drawings.size(), [&](std::size_t i, std::size_t) {
    Drawing& drawing = drawings[i];
    try {
      drawing.drawn = drawing.running->sequence.draw(drawing.logits);
    } catch (const std::exception&) {
      drawing.failure = std::current_exception();
    }
  });
  for (Drawing& drawing : drawings) {
    try {
      if (drawing.failure) std::rethrow_exception(drawing.failure);
      sequences_.take(*drawing.running, std::move(drawing.drawn));
    } catch (const std::exception& failure) {
      sequences_.end(*drawing.running, finished_by(failure));
    }
  }
}

}  // namespace carat
