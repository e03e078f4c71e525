#include "engine/running_sequences.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace carat {
namespace {

using Clock = PendingAnswer::Clock;

}  // namespace

RunningSequences::RunningSequences(const StepRunner& runner, AnswerEnds& ends, const RunningOptions& options)
    : runner_(runner), ends_(ends), options_(options), memory_(runner.config(), options.kv, options.kv_budget) {}

bool RunningSequences::has_room_for(const PendingAnswer& answer) const {
  if (!preempted_.empty()) return false;
  if (active_.empty()) return true;
  std::size_t places = active_.size();
  for (const auto& running : active_) {
    const PendingAnswer& other = *running->answer;
    if (!other.has_forked) places += other.request.choices - 1;
  }
  return places + answer.request.choices <= options_.max_running && memory_.fits(answer.prompt.ids.size());
}

RunningSequence RunningSequences::make(std::shared_ptr<PendingAnswer> answer, std::size_t choice, KvCache cache) const {
  const PendingAnswer& a = *answer;
  const SequenceSetup setup{&runner_.tokenizer().vocab(), &a.request, &a.prompt,
                            a.constraint.get(),           a.seed,     options_.kv.context};
  return {std::move(answer), Sequence(setup, choice, std::move(cache)), {}};
}

void RunningSequences::admit(const std::shared_ptr<PendingAnswer>& answer) {
  try {
    begin(answer);
  } catch (const std::exception& failure) {
    ends_.end_waiting(*answer, finished_by(failure));
  }
}

void RunningSequences::begin(const std::shared_ptr<PendingAnswer>& answer) {
  PendingAnswer& a = *answer;
  active_.reserve(active_.size() + 1);  // so that nothing throws once Started is sent
  a.has_begun = true;
  a.has_forked = a.request.choices == 1;
  a.begun = Clock::now();
  a.timings.queued_seconds = seconds_between(a.submitted, a.begun);
  auto running = std::make_unique<RunningSequence>(make(answer, 0, memory_.new_cache()));
  const PrefixCache::Match match = memory_.adopt_prefix(a, running->sequence);
  a.usage.prompt_tokens = a.prompt.ids.size();
  for (const PromptMedium& medium : a.prompt.media) {
    const SoftTokens& soft = *medium.span.soft;
    (soft.kind() == MediaKind::kAudio ? a.usage.audio_tokens : a.usage.image_tokens) += soft.count();
  }
  a.usage.cached_tokens = match.tokens;
  a.usage.cache_miss = match.miss;
  counters_.prompt_tokens += a.usage.prompt_tokens;
  counters_.cached_tokens += a.usage.cached_tokens;
  a.send_body(0, Started{a.usage});
  active_.push_back(std::move(running));
}

std::vector<RunningSequence*> RunningSequences::fork(const RunningSequence& running) {
  PendingAnswer& answer = *running.answer;
  std::vector<RunningSequence*> forks;
  if (answer.has_forked) return forks;
  std::vector<std::unique_ptr<RunningSequence>> made;
  for (std::size_t choice = 1; choice < answer.request.choices; ++choice) {
    made.push_back(std::make_unique<RunningSequence>(make(running.answer, choice, running.sequence.cache)));
    made.back()->sequence.computed = running.sequence.computed;
    made.back()->state = running.state;
    forks.push_back(made.back().get());
  }
  active_.reserve(active_.size() + made.size());  // from here on nothing throws: they have parted, or they have not
  std::ranges::move(made, std::back_inserter(active_));
  answer.has_forked = true;
  return forks;
}

void RunningSequences::preempt_youngest() {
  RunningSequence& victim = *active_.back();
  remember(victim);
  victim.sequence.cache.clear();
  victim.sequence.computed = 0;
  ++counters_.preempted;
  preempted_.push_front(std::move(active_.back()));
  active_.pop_back();
}

void RunningSequences::resume_preempted() {
  while (!preempted_.empty()) {
    RunningSequence& next = *preempted_.front();
    if (!active_.empty() && !memory_.fits(next.sequence.tokens().size())) return;
    memory_.adopt_prefix(*next.answer, next.sequence);
    active_.push_back(std::move(preempted_.front()));
    preempted_.pop_front();
  }
}

void RunningSequences::take(RunningSequence& running, Sequence::Drawn drawn) {
  PendingAnswer& answer = *running.answer;
  if (answer.first_token == Clock::time_point{}) {
    answer.first_token = Clock::now();
    answer.timings.prefill_seconds = seconds_between(answer.begun, answer.first_token);
  }
  std::vector<Event> events;
  std::optional<Finished> finished = running.sequence.take(std::move(drawn), events);
  const std::size_t choice = running.sequence.choice();
  for (Event& event : events) answer.send(choice, std::move(event));
  if (!finished) return;
  memory_.remember(answer, running.sequence, true);
  running.is_over = true;
  ends_.end_choice(answer, choice, *std::move(finished));
}

void RunningSequences::end(RunningSequence& running, const Finished& how) {
  if (running.is_over) return;
  PendingAnswer& answer = *running.answer;
  const Sequence& sequence = running.sequence;
  std::vector<Event> events;
  Finished finished = copy_of(how);
  finished.completion_tokens = sequence.generated();
  finished.reasoning_tokens = sequence.reasoning_tokens();
  try {
    finished = running.sequence.finish(how.reason, events);
    finished.error_kind = how.error_kind;
    finished.error = how.error;
  } catch (const std::exception&) {
    events.clear();  // what was held back is lost
  }
  const std::size_t choice = sequence.choice();
  for (Event& event : events) answer.send(choice, std::move(event));
  if (how.reason != FinishReason::kError) remember(running);
  running.is_over = true;
  const Finished unforked = copy_of(finished);
  ends_.end_choice(answer, choice, std::move(finished));
  if (!answer.has_forked) ends_.end_unforked(answer, unforked);
}

void RunningSequences::end_cancelled() {
  const auto end_if_cancelled = [&](auto& sequences) {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (sequences[i]->answer->is_cancelled) end(*sequences[i], finished_for(FinishReason::kCancelled));
    }
  };
  end_if_cancelled(active_);
  end_if_cancelled(preempted_);
  forget_ended();
}

void RunningSequences::end_all(const Finished& how) {
  for (auto& running : active_) end(*running, how);
  for (auto& running : preempted_) end(*running, how);
  forget_ended();
}

void RunningSequences::end_youngest(const std::exception& failure) {
  if (!active_.empty()) {
    end(*active_.back(), finished_by(failure));
  } else if (!preempted_.empty()) {
    end(*preempted_.back(), finished_by(failure));
  }
  forget_ended();
}

void RunningSequences::forget_ended() {
  const auto is_over = [](const auto& running) { return running->is_over; };
  std::erase_if(active_, is_over);
  std::erase_if(preempted_, is_over);
}

}  // namespace carat
