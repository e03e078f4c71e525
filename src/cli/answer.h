// One answer: a prompt goes into a session, sampled tokens come out until something ends them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/lookahead.h"
#include "engine/session.h"
#include "engine/stream.h"
#include "grammar/grammar.h"
#include "sampling/sampling_params.h"

namespace carat {

struct AnswerOptions {
  SamplingParams sampling;
  std::size_t max_tokens = 0;  // 0: until the context is full
  bool ignores_end = false;    // tokens that end an answer are banned
};

struct AnswerStats {
  std::size_t prompt_tokens = 0;
  std::size_t reused_tokens = 0;  // of the prompt, still in the session's cache
  std::size_t generated_tokens = 0;
  std::size_t guessed_tokens = 0;    // by the assistant
  std::size_t accepted_guesses = 0;  // of these, that came true
  double prefill_seconds = 0;
  double generation_seconds = 0;

  double prefill_rate() const;     // tokens a second
  double generation_rate() const;  // tokens a second
};

struct Answer {
  FinishReason finish_reason = FinishReason::kStop;  // or kLength, or kCancelled
  AnswerStats stats;
};

// Brings the session to `prompt`, keeping what it already holds of it, and generates. on_token gets every token that
// belongs to the answer, not the one that ends it. is_cancelled is asked for each token and each chunk of the prompt.
// prompt has ids. grammar: the form that the answer keeps to; null: any. lookahead: of that session, to guess tokens
// with; null for none; the answer is the same. Throws Error(kBadInput) where the prompt doesn't fit into the context,
// or a grammar comes to a dead end.
Answer generate_answer(Session& session, Lookahead* lookahead, const MediaPrompt& prompt, const AnswerOptions& options,
                       std::shared_ptr<const Grammar> grammar, const std::function<void(std::int32_t)>& on_token,
                       const std::function<bool()>& is_cancelled = {});

// "prompt 12 tokens, 340.1 tokens/s; answer 80 tokens, 21.3 tokens/s; memory ...\n"
std::string stats_text(const AnswerStats& stats, const Session& session);

}  // namespace carat
