// The rows of the next step: how many of which sequence (scheduler.h decides), never a part of a picture that is seen
// whole, and as the decoder wants them.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "decoder/batch.h"
#include "engine/guess_rounds.h"
#include "engine/running_sequences.h"
#include "engine/step_costs.h"

namespace carat {

// Rows of a sequence in the step at hand: those behind Sequence::computed.
struct PlannedRows {
  RunningSequence* running = nullptr;
  std::size_t rows = 0;
  std::size_t before = 0;           // Sequence::computed at the step's begin
  std::size_t tokens_before = 0;    // and how many tokens there were
  std::optional<GuessRound> round;  // then the rows are the newest token's and its guesses'
};

struct StepRows {
  std::size_t chunk = 0;         // rows of a step
  std::size_t with_picture = 0;  // of a step that computes a picture as a whole
};

std::vector<PlannedRows> plan_rows(std::span<const std::unique_ptr<RunningSequence>> sequences, const StepRows& most,
                                   const StepCosts& costs);

// Appends the rows. sequence: its place in the batch (BatchRow::sequence).
void append_rows(const PlannedRows& planned, std::size_t sequence, std::vector<BatchRow>& rows);

}  // namespace carat
