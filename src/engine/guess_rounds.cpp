#include "engine/guess_rounds.h"

#include <algorithm>
#include <exception>
#include <span>

#include "base/view.h"

namespace carat {
namespace {

using Clock = PendingAnswer::Clock;

// Of a step; the depth in use adapts itself.
constexpr std::size_t kMostGuesses = 8;
static_assert(kMostGuesses < StepRunner::kLogitRows);

}  // namespace

GuessRounds::GuessRounds(StepRunner& runner, RunningSequences& sequences, const KvCacheOptions& kv)
    : runner_(runner), sequences_(sequences), kv_(kv), depth_(std::min(kMostGuesses, kv.chunk - 1)) {}

void GuessRounds::keep_state(RunningSequence& running, std::size_t row) {
  if (!runner_.can_guess()) return;
  const std::span<const float> state = runner_.hidden(row, 1).row(0);
  running.state.assign(state.begin(), state.end());
}

bool GuessRounds::can_begin(const RunningSequence& running) const {
  return runner_.can_guess() && sequences_.count() == 1 && running.sequence.generated() > 0;
}

std::size_t GuessRounds::most_guesses(const RunningSequence& running) const {
  const Sequence& sequence = running.sequence;
  const std::size_t position = sequence.computed;
  const std::size_t behind = runner_.config().window + StepRunner::kGuessSlack - 1;
  // A window that was taken from the prefix cache ends where the target's does, and drafters look further back.
  if (running.state.empty() || sequence.cache.first_held() > position - std::min(position, behind)) return 0;
  const std::size_t most_tokens = running.answer->request.limits.max_tokens;
  const std::size_t wanted = most_tokens == 0 ? kMostGuesses : most_tokens - sequence.generated() - 1;
  return std::min({kMostGuesses, wanted, kv_.context - sequence.tokens().size(), kv_.chunk - 1});
}

GuessRound GuessRounds::begin(RunningSequence& running) {
  Sequence& sequence = running.sequence;
  GuessRound round;
  const std::size_t depth = depth_.choose(most_guesses(running));
  const Clock::time_point begin = Clock::now();
  try {
    if (depth > 0) {
      sequence.cache.make_room(sequence.computed, sequence.computed + 1 + depth);
      round.guesses = runner_.guess(sequence.cache, sequence.computed, sequence.tokens().back(), running.state, depth);
    }
  } catch (const std::exception&) {
    round.guesses.clear();  // no memory: the answer goes on without
  }
  round.begun = Clock::now();
  round.guess_seconds = seconds_between(begin, round.begun);
  return round;
}

void GuessRounds::draw(RunningSequence& running, const GuessRound& round, std::size_t before) {
  Sequence& sequence = running.sequence;
  PendingAnswer& answer = *running.answer;
  const std::vector<std::int32_t>& guesses = round.guesses;
  const std::size_t rows = guesses.size() + 1;
  const MatView<float> logits = runner_.logits(0, rows);
  depth_.measured(guesses.size(), round.guess_seconds, seconds_between(round.begun, Clock::now()));
  counters_.guessed_tokens += guesses.size();
  answer.usage.guessed_tokens += guesses.size();
  std::size_t right = 0;
  bool is_open = true;
  for (std::size_t row = 0; row < rows; ++row) {
    sequence.computed = before + row + 1;
    keep_state(running, row);
    sequences_.take(running, sequence.draw(logits.row(row)));
    if (running.is_over || answer.is_cancelled || row == guesses.size()) break;
    is_open = sequence.tokens().back() == guesses[row];
    if (!is_open) break;
    ++right;
    ++counters_.accepted_guesses;
    ++answer.usage.accepted_guesses;  // before the next token, which may be the last and send it
  }
  depth_.accepted(right, is_open);
  const bool has_filled_page = sequence.computed / kPageTokens > before / kPageTokens;
  if (!running.is_over && has_filled_page) sequences_.remember(running);
}

}  // namespace carat
