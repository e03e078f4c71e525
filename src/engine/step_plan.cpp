#include "engine/step_plan.h"

#include <algorithm>
#include <cstdint>

#include "engine/prompt_results.h"
#include "engine/scheduler.h"

namespace carat {
namespace {

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

}  // namespace

std::vector<PlannedRows> plan_rows(std::span<const std::unique_ptr<RunningSequence>> sequences, const StepRows& most,
                                   const StepCosts& costs) {
  std::vector<Runnable> runnables;
  std::size_t largest_picture = 0;
  for (const auto& running : sequences) {
    const Sequence& sequence = running->sequence;
    const std::size_t remaining = sequence.tokens().size() - sequence.computed;
    const std::size_t picture = picture_at(running->answer->prompt, sequence.computed);
    largest_picture = std::max(largest_picture, picture);
    runnables.push_back({remaining, sequence.generated() > 0 && remaining == 1, picture});
  }
  // A picture larger than a chunk has the whole step, with those who generate.
  const std::size_t rows = largest_picture < most.chunk ? most.chunk : most.with_picture;
  const std::vector<std::size_t> given = plan_step(runnables, {rows, costs.rows_beside(most.chunk)});
  std::vector<PlannedRows> planned;
  for (std::size_t i = 0; i < given.size(); ++i) {
    RunningSequence& running = *sequences[i];
    const Sequence& sequence = running.sequence;
    const std::size_t few = rows_before_picture(running.answer->prompt, sequence.computed, given[i]);
    if (few != 0) planned.push_back({&running, few, sequence.computed, sequence.tokens().size(), {}});
  }
  return planned;
}

void append_rows(const PlannedRows& planned, std::size_t index, std::vector<BatchRow>& all) {
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

}  // namespace carat
