#include "engine/batcher.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "engine/logprobs.h"
#include "engine/scheduler.h"

namespace carat {
namespace {

using Clock = PendingAnswer::Clock;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// Of a step; the depth in use adapts itself.
constexpr std::size_t kMostGuesses = 8;
static_assert(kMostGuesses < StepRunner::kLogitRows);

// A step that computes one prompt alone may be given up for a newcomer when it is at least this long.
constexpr std::size_t kLongStep = 64;

// Of a picture that is seen whole, the rows from `position` on that belong to it; 0 where there is none.
std::size_t picture_at(const BuiltPrompt& prompt, std::size_t position) {
  for (const PromptMedium& medium : prompt.media) {
    const MediaSpan& span = medium.span;
    if (medium.is_whole && span.first <= position && position < span.end()) return span.end() - position;
  }
  return 0;
}

// As many of the next `rows` as don't part a picture that is seen whole.
std::size_t rows_before_picture(const BuiltPrompt& prompt, std::size_t position, std::size_t rows) {
  for (const PromptMedium& medium : prompt.media) {
    const MediaSpan& span = medium.span;
    const bool is_parted =
        medium.is_whole && position < span.first && span.first < position + rows && position + rows < span.end();
    if (is_parted) return span.first - position;
  }
  return rows;
}

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

// Without its texts where there is no memory for them: an answer has to end in any case.
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

// Of the prompt: not only the last one's logits or hidden state.
bool wants_every_row(const Request& request) {
  return request.prompt_logprobs.has_value() || request.wants_embedding;
}

}  // namespace

Batcher::Batcher(StepRunner& runner, const BatcherOptions& options)
    : runner_(runner),
      options_(options),
      pool_(options.kv_budget),
      prefixes_(runner.config()),
      depth_(std::min(kMostGuesses, options.kv.chunk - 1)) {
  pool_.set_reclaim([this](std::size_t) { return prefixes_.reclaim(); });
  pool_.set_release([this](const KvBlock& block) { prefixes_.forget(block); });
}

bool Batcher::fits(std::size_t tokens) const {
  if (running_.empty()) return true;
  KvCacheOptions kv = options_.kv;
  kv.context = std::min(kv.context, tokens + kPageTokens);
  const std::size_t held = pool_.used_bytes() - prefixes_.bytes();
  return held + KvCache::bytes_needed(runner_.config(), kv) <= pool_.budget_bytes();
}

bool Batcher::has_room_for(const PendingAnswer& answer) const {
  if (!preempted_.empty()) return false;
  if (running_.empty()) return true;
  std::size_t places = running_.size();
  for (const auto& running : running_) {
    const PendingAnswer& other = *running->answer;
    if (!other.has_forked) places += other.request.choices - 1;
  }
  return places + answer.request.choices <= options_.max_running && fits(answer.prompt.ids.size());
}

Batcher::Running Batcher::make_running(std::shared_ptr<PendingAnswer> answer, std::size_t choice, KvCache cache) const {
  const PendingAnswer& a = *answer;
  const SequenceSetup setup{&runner_.tokenizer().vocab(), &a.request, &a.prompt,
                            a.constraint.get(),           a.seed,     options_.kv.context};
  return {std::move(answer), Sequence(setup, choice, std::move(cache)), {}};
}

PrefixCache::Match Batcher::adopt_prefix(Running& running) {
  const Request& request = running.answer->request;
  Sequence& sequence = running.sequence;
  PrefixCache::Match match;
  if (!request.uses_prefix_cache || request.prompt_logprobs || request.wants_embedding) {
    match.miss = CacheMiss::kOff;
    return match;
  }
  try {
    match = find_prefix(running);
    for (const KvCache::Blocks& blocks : match.blocks) sequence.cache.adopt(blocks);
    sequence.computed = match.tokens;
  } catch (const std::bad_alloc&) {
    sequence.cache.clear();
    match = {};
  }
  return match;
}

PrefixCache::Match Batcher::find_prefix(const Running& running) {
  const Request& request = running.answer->request;
  const Sequence& sequence = running.sequence;
  std::size_t most = sequence.tokens().size() - 1;
  PrefixCache::Match match = prefixes_.find(request.cache_salt, sequence.keys(), most);
  for (const PromptMedium& medium : running.answer->prompt.media) {
    if (!medium.is_whole || match.tokens <= medium.span.first || match.tokens >= medium.span.end()) continue;
    most = medium.span.first;  // not within a picture that is seen whole
    match = prefixes_.find(request.cache_salt, sequence.keys(), most);
    break;
  }
  return match;
}

void Batcher::admit(const std::shared_ptr<PendingAnswer>& answer) {
  try {
    begin(answer);
  } catch (const std::exception& failure) {
    end_waiting(*answer, finished_by(failure));
  }
}

void Batcher::begin(const std::shared_ptr<PendingAnswer>& answer) {
  PendingAnswer& a = *answer;
  running_.reserve(running_.size() + 1);  // so that nothing throws once Started is sent
  a.has_begun = true;
  a.has_forked = a.request.choices == 1;
  a.begun = Clock::now();
  a.timings.queued_seconds = seconds_between(a.submitted, a.begun);
  auto running = std::make_unique<Running>(make_running(answer, 0, KvCache(runner_.config(), options_.kv, pool_)));
  const PrefixCache::Match match = adopt_prefix(*running);
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
  running_.push_back(std::move(running));
}

// Puts what is computed of the sequence into the prefix cache.
void Batcher::remember(const Running& running, bool is_at_end) {
  const PendingAnswer& answer = *running.answer;
  if (!answer.request.uses_prefix_cache) return;
  try {
    std::vector<std::size_t> borders = answer.prompt.borders;
    if (is_at_end) borders.push_back(running.sequence.computed);
    prefixes_.insert(answer.request.cache_salt, running.sequence.keys(), running.sequence.computed, borders,
                     running.sequence.cache);
  } catch (const std::bad_alloc&) {
    return;  // then it is computed again
  }
}

void Batcher::resume_preempted() {
  while (!preempted_.empty() && fits(preempted_.front()->sequence.tokens().size())) {
    adopt_prefix(*preempted_.front());
    running_.push_back(std::move(preempted_.front()));
    preempted_.pop_front();
  }
}

void Batcher::preempt(std::size_t index) {
  Running& victim = *running_[index];
  remember(victim, false);
  victim.sequence.cache.clear();
  victim.sequence.computed = 0;
  ++counters_.preempted;
  preempted_.push_front(std::move(running_[index]));
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
}

std::vector<Batcher::Planned> Batcher::plan() {
  std::vector<Runnable> runnables;
  std::size_t largest_picture = 0;
  for (const auto& running : running_) {
    const Sequence& sequence = running->sequence;
    const std::size_t remaining = sequence.tokens().size() - sequence.computed;
    const std::size_t picture = picture_at(running->answer->prompt, sequence.computed);
    largest_picture = std::max(largest_picture, picture);
    runnables.push_back({remaining, sequence.generated() > 0 && remaining == 1, picture});
  }
  const std::size_t chunk = options_.kv.chunk;
  // A picture larger than a chunk has the whole step, with those who generate.
  const std::size_t rows = largest_picture < chunk ? chunk : options_.most_rows;
  const std::vector<std::size_t> given = plan_step(runnables, {rows, costs_.rows_beside(chunk)});
  std::vector<Planned> planned;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Running& running = *running_[i];
    const std::size_t few = rows_before_picture(running.answer->prompt, running.sequence.computed, given[i]);
    if (few != 0) {
      planned.push_back({running_[i].get(), few, running.sequence.computed, running.sequence.tokens().size(), {}});
    }
  }
  return planned;
}

// Oldest first; where memory runs out, the youngest gives up its pages and is computed again later.
bool Batcher::make_room(Planned& planned, std::vector<Planned>& all) {
  Sequence& sequence = planned.running->sequence;
  while (true) {
    try {
      sequence.cache.make_room(sequence.computed, sequence.computed + planned.rows);
      return true;
    } catch (const std::exception& failure) {
      if (running_.back().get() == planned.running) {
        if (running_.size() > 1) {
          preempt(running_.size() - 1);
        } else {
          end(*planned.running, finished_by(failure));
        }
        return false;
      }
      for (Planned& other : all) {
        if (other.running == running_.back().get()) other.rows = 0;
      }
      preempt(running_.size() - 1);
    }
  }
}

void Batcher::make_room(std::vector<Planned>& planned) {
  for (Planned& one : planned) {
    if (one.rows != 0 && !make_room(one, planned)) one.rows = 0;
  }
  std::erase_if(planned, [](const Planned& one) { return one.rows == 0; });
}

void Batcher::step(const std::function<bool()>& has_arrivals, const std::function<bool()>& is_stopping) {
  resume_preempted();
  std::vector<Planned> planned = plan();
  make_room(planned);
  guess(planned);
  if (!planned.empty()) {
    std::size_t prompt_rows = 0;
    std::size_t answer_rows = 0;
    for (const Planned& one : planned) {
      const bool is_answer = one.running->sequence.generated() > 0 && (one.rows == 1 || one.round);
      (is_answer ? answer_rows : prompt_rows) += one.rows;
    }
    const bool is_long_and_alone = planned.size() == 1 && running_.size() == 1 && prompt_rows >= kLongStep;
    const PendingAnswer& first = *planned.front().running->answer;
    const auto should_stop = [&] {
      return is_stopping() ||
             (is_long_and_alone && (first.is_cancelled || (options_.max_running > 1 && has_arrivals())));
    };
    const Clock::time_point begin = Clock::now();
    const std::uint64_t steps = counters_.steps;
    compute(planned, should_stop);
    const bool has_guesses = planned.front().rows > 1 && planned.front().round;  // not what a step takes otherwise
    if (counters_.steps == steps + 1 && !has_guesses) {
      costs_.add(prompt_rows, answer_rows, seconds_between(begin, Clock::now()));
    }
  }
  forget_ended();
}

void Batcher::compute(std::span<const Planned> planned, const std::function<bool()>& should_stop) {
  try {
    forward(planned, should_stop);
  } catch (const std::exception& failure) {
    const auto* error = dynamic_cast<const Error*>(&failure);
    if (error != nullptr && error->kind() == ErrorKind::kCancelled) return;  // the step is planned anew
    if (planned.size() == 1) return end(*planned[0].running, finished_by(failure));
    for (const Planned& one : planned) compute({&one, 1}, should_stop);
    return;
  }
  ++counters_.steps;
  advance(planned);
}

void Batcher::add_rows(const Planned& planned, std::size_t index, std::vector<BatchRow>& all) {
  const Sequence& sequence = planned.running->sequence;
  const PendingAnswer& answer = *planned.running->answer;
  const std::vector<std::int32_t>& tokens = sequence.tokens();
  const std::size_t begin = sequence.computed;
  const std::size_t first_row = all.size();
  if (planned.round) {
    all.push_back({tokens[begin], index, begin, true});
    for (const std::int32_t token : planned.round->guesses) {
      all.push_back({token, index, all.back().position + 1, true});
    }
    return;
  }
  const std::size_t rows = planned.rows;
  for (std::size_t i = begin; i < begin + rows; ++i) {
    all.push_back({tokens[i], index, i, i + 1 == tokens.size() || wants_every_row(answer.request)});
  }
  for (const PromptMedium& medium : answer.prompt.media) {
    const MediaSpan& span = medium.span;
    for (std::size_t i = std::max(span.first, begin); i < std::min(span.end(), begin + rows); ++i) {
      BatchRow& row = all[first_row + i - begin];
      row.soft_row = span.soft->rows().row(i - span.first).data();
      if (medium.is_whole) row.image = {span.first, span.end()};
    }
  }
}

void Batcher::forward(std::span<const Planned> planned, const std::function<bool()>& should_stop) {
  std::vector<KvCache*> caches;
  std::vector<TokenHistory> histories;
  Batch batch;
  for (const Planned& one : planned) {
    add_rows(one, caches.size(), batch.rows);
    Sequence& sequence = one.running->sequence;
    caches.push_back(&sequence.cache);
    histories.push_back({sequence.tokens(), one.running->answer->prompt.ids.size()});
  }
  batch.caches = caches;
  runner_.forward(batch, histories, should_stop);
}

void Batcher::advance(std::span<const Planned> planned) {
  try {
    draw_and_take(planned);
  } catch (const std::exception& failure) {
    for (const Planned& one : planned) {
      Sequence& sequence = one.running->sequence;
      if (sequence.tokens().size() == one.tokens_before) sequence.computed = one.before;
    }
    // Choices that parted from the others in this step, and have not drawn: the row they share is computed again.
    for (const auto& running : running_) {
      Sequence& sequence = running->sequence;
      sequence.computed = std::min(sequence.computed, sequence.tokens().size() - 1);
    }
    end(*planned.back().running, finished_by(failure));
  }
}

std::size_t Batcher::most_guesses(const Running& running) const {
  const Sequence& sequence = running.sequence;
  const std::size_t position = sequence.computed;
  const std::size_t behind = runner_.config().window + StepRunner::kGuessSlack - 1;
  // A window that was taken from the prefix cache ends where the target's does, and drafters look further back.
  if (running.state.empty() || sequence.cache.first_held() > position - std::min(position, behind)) return 0;
  const std::size_t most_tokens = running.answer->request.limits.max_tokens;
  const std::size_t wanted = most_tokens == 0 ? kMostGuesses : most_tokens - sequence.generated() - 1;
  return std::min({kMostGuesses, wanted, options_.kv.context - sequence.tokens().size(), options_.kv.chunk - 1});
}

void Batcher::guess(std::span<Planned> planned) {
  const bool is_alone = planned.size() == 1 && running_.size() == 1 && preempted_.empty();
  if (!runner_.can_guess() || !is_alone) return;
  Planned& one = planned.front();
  Sequence& sequence = one.running->sequence;
  if (one.rows != 1 || sequence.generated() == 0) return;
  Round& round = one.round.emplace();
  const std::size_t depth = depth_.choose(most_guesses(*one.running));
  const Clock::time_point begin = Clock::now();
  try {
    if (depth > 0) {
      sequence.cache.make_room(sequence.computed, sequence.computed + 1 + depth);
      round.guesses =
          runner_.guess(sequence.cache, sequence.computed, sequence.tokens().back(), one.running->state, depth);
    }
  } catch (const std::exception&) {
    round.guesses.clear();  // no memory: the answer goes on without
  }
  one.rows += round.guesses.size();
  round.begun = Clock::now();
  round.guess_seconds = seconds_between(begin, round.begun);
}

void Batcher::keep_state(Running& running, std::size_t row) {
  if (!runner_.can_guess()) return;
  const std::span<const float> state = runner_.hidden(row, 1).row(0);
  running.state.assign(state.begin(), state.end());
}

void Batcher::draw_round(const Planned& planned) {
  Running& running = *planned.running;
  Sequence& sequence = running.sequence;
  PendingAnswer& answer = *running.answer;
  const std::vector<std::int32_t>& guesses = planned.round->guesses;
  const MatView<float> logits = runner_.logits(0, planned.rows);
  depth_.measured(guesses.size(), planned.round->guess_seconds, seconds_between(planned.round->begun, Clock::now()));
  counters_.guessed_tokens += guesses.size();
  answer.usage.guessed_tokens += guesses.size();
  std::size_t right = 0;
  bool is_open = true;
  for (std::size_t row = 0; row < planned.rows; ++row) {
    sequence.computed = planned.before + row + 1;
    keep_state(running, row);
    take(running, sequence.draw(logits.row(row)));
    if (running.is_over || answer.is_cancelled || row == guesses.size()) break;
    is_open = sequence.tokens().back() == guesses[row];
    if (!is_open) break;
    ++right;
    ++counters_.accepted_guesses;
    ++answer.usage.accepted_guesses;  // before the next token, which may be the last and send it
  }
  depth_.accepted(right, is_open);
  const bool has_filled_page = sequence.computed / kPageTokens > planned.before / kPageTokens;
  if (!running.is_over && has_filled_page) remember(running, false);
}

void Batcher::draw_and_take(std::span<const Planned> planned) {
  if (planned.front().round) return draw_round(planned.front());
  struct Wanted {
    Running* running;
    std::size_t position;
  };
  std::vector<Wanted> wanted;
  for (const Planned& one : planned) {
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
    if (is_prompt_done || sequence.computed / kPageTokens > before / kPageTokens) remember(*one.running, false);
  }

  const auto is_embedding = [&](std::size_t i) { return wanted[i].running->answer->request.wants_embedding; };
  std::size_t rows = 0;
  for (std::size_t first = 0; first < wanted.size(); first += rows) {
    rows = 1;
    if (is_embedding(first)) {
      const auto& [running, position] = wanted[first];
      add_to_embedding(*running, position, runner_.hidden(first, 1).row(0));
      continue;
    }
    while (rows < StepRunner::kLogitRows && first + rows < wanted.size() && !is_embedding(first + rows)) ++rows;
    const MatView<float> logits = runner_.logits(first, rows);
    std::vector<Drawing> drawings;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto& [running, position] = wanted[first + row];
      add_prompt_logprob(*running->answer, position, logits.row(row));
      if (position + 1 != running->sequence.tokens().size()) continue;
      keep_state(*running, first + row);
      add_drawings(*running, logits.row(row), drawings);
    }
    draw(drawings);
    for (Drawing& drawing : drawings) {
      try {
        if (drawing.failure) std::rethrow_exception(drawing.failure);
        take(*drawing.running, std::move(drawing.drawn));
      } catch (const std::exception& failure) {
        end(*drawing.running, finished_by(failure));
      }
    }
  }
}

// The sequence, and where it is at the end of a prompt that several answers share, the others.
void Batcher::add_drawings(Running& running, std::span<float> logits, std::vector<Drawing>& drawings) {
  PendingAnswer& answer = *running.answer;
  Drawing& own = drawings.emplace_back();
  own.running = &running;
  own.logits = logits;
  if (answer.has_forked) return;
  std::vector<std::unique_ptr<Running>> forks;
  for (std::size_t choice = 1; choice < answer.request.choices; ++choice) {
    forks.push_back(std::make_unique<Running>(make_running(running.answer, choice, running.sequence.cache)));
    forks.back()->sequence.computed = running.sequence.computed;
    forks.back()->state = running.state;
    Drawing& drawing = drawings.emplace_back();
    drawing.running = forks.back().get();
    drawing.own_logits.assign(logits.begin(), logits.end());
    drawing.logits = drawing.own_logits;
  }
  running_.reserve(running_.size() + forks.size());  // from here on nothing throws: they have parted, or they have not
  std::ranges::move(forks, std::back_inserter(running_));
  answer.has_forked = true;
}

void Batcher::draw(std::vector<Drawing>& drawings) {
  runner_.pool().parallel_for(drawings.size(), [&](std::size_t i, std::size_t) {
    Drawing& drawing = drawings[i];
    try {
      drawing.drawn = drawing.running->sequence.draw(drawing.logits);
    } catch (const std::exception&) {
      drawing.failure = std::current_exception();
    }
  });
}

void Batcher::add_to_embedding(Running& running, std::size_t position, std::span<const float> hidden) {
  PendingAnswer& answer = *running.answer;
  const std::vector<std::int32_t>& ids = answer.prompt.ids;
  const bool is_start = position == 0 && ids.size() > 1 && ids[0] == runner_.tokenizer().vocab().bos();
  // A sequence that was preempted comes by here again.
  if (!is_start && answer.embedding.last_position() < static_cast<std::ptrdiff_t>(position)) {
    answer.embedding.add(position, hidden);
  }
  if (position + 1 != ids.size()) return;
  answer.send_body(0, Embedding{answer.embedding.direction()});
  end(running, finished_for(FinishReason::kStop));
}

// Logits after `position` tell of the token behind it.
void Batcher::add_prompt_logprob(PendingAnswer& answer, std::size_t position, std::span<const float> logits) const {
  const std::vector<std::int32_t>& ids = answer.prompt.ids;
  if (!answer.request.prompt_logprobs || answer.has_prompt_logprobs) return;
  const Vocab& vocab = runner_.tokenizer().vocab();
  std::vector<TokenLogprob>& all = answer.prompt_logprobs;
  if (all.empty()) {
    TokenLogprob first;
    first.token = ids[0];
    first.bytes = vocab.piece(ids[0]);
    all.push_back(std::move(first));
  }
  // A sequence that was preempted comes by here again.
  if (position + 1 < ids.size() && all.size() == position + 1) {
    const std::int32_t next = ids[position + 1];
    all.push_back(
        Logprobs(logits, *answer.request.prompt_logprobs, vocab).of(next, logits[static_cast<std::size_t>(next)]));
  }
  if (position + 1 != ids.size()) return;
  std::vector<PromptLogprobs> copies(answer.request.choices, PromptLogprobs{all});
  answer.has_prompt_logprobs = true;
  for (std::size_t choice = 0; choice < copies.size(); ++choice) answer.send_body(choice, std::move(copies[choice]));
}

void Batcher::take(Running& running, Sequence::Drawn drawn) {
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
  remember(running, true);
  running.is_over = true;
  end_choice(answer, choice, *std::move(finished));
}

void Batcher::end(Running& running, const Finished& how) {
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
  if (how.reason != FinishReason::kError) remember(running, false);
  running.is_over = true;
  Finished unforked = copy_of(finished);
  end_choice(answer, choice, std::move(finished));
  if (!answer.has_forked) end_unforked(answer, unforked);
}

// The choices that never came to a sequence of their own.
void Batcher::end_unforked(PendingAnswer& answer, const Finished& finished) {
  answer.has_forked = true;
  for (std::size_t choice = 1; choice < answer.request.choices; ++choice) {
    Finished unstarted = copy_of(finished);
    unstarted.completion_tokens = 0;
    unstarted.reasoning_tokens = 0;
    end_choice(answer, choice, std::move(unstarted));
  }
}

void Batcher::end_waiting(PendingAnswer& answer, const Finished& finished) {
  answer.usage.prompt_tokens = answer.prompt.ids.size();
  answer.timings.queued_seconds = seconds_between(answer.submitted, Clock::now());
  end_choice(answer, 0, copy_of(finished));
  end_unforked(answer, finished);
}

void Batcher::end_choice(PendingAnswer& answer, std::size_t choice, Finished finished) {
  answer.usage.completion_tokens += finished.completion_tokens;
  answer.usage.reasoning_tokens += finished.reasoning_tokens;
  counters_.completion_tokens += finished.completion_tokens;
  const FinishReason reason = finished.reason;
  answer.send_body(choice, std::move(finished));
  ++answer.choices_over;
  if (!answer.is_over()) return;
  if (answer.first_token != Clock::time_point{}) {
    answer.timings.generation_seconds = seconds_between(answer.first_token, Clock::now());
  }
  ++counters_.finished;
  if (reason == FinishReason::kCancelled) ++counters_.cancelled;
  if (reason == FinishReason::kError) ++counters_.failed;
  answer.send_body(0, Done{answer.usage, answer.timings});
}

void Batcher::end_cancelled() {
  const auto end_if_cancelled = [&](auto& sequences) {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (sequences[i]->answer->is_cancelled) end(*sequences[i], finished_for(FinishReason::kCancelled));
    }
  };
  end_if_cancelled(running_);
  end_if_cancelled(preempted_);
  forget_ended();
}

void Batcher::end_all(const Finished& finished) {
  for (auto& running : running_) end(*running, finished);
  for (auto& running : preempted_) end(*running, finished);
  forget_ended();
}

void Batcher::end_youngest(const std::exception& failure) {
  if (!running_.empty()) {
    end(*running_.back(), finished_by(failure));
  } else if (!preempted_.empty()) {
    end(*preempted_.back(), finished_by(failure));
  }
  forget_ended();
}

void Batcher::forget_ended() {
  const auto is_over = [](const auto& running) { return running->is_over; };
  std::erase_if(running_, is_over);
  std::erase_if(preempted_, is_over);
}

}  // namespace carat
