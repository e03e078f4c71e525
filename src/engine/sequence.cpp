#include "engine/sequence.h"

#include <limits>
#include <utility>

#include "engine/logprobs.h"

namespace carat {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

std::optional<std::size_t> thinking_budget(const Request& request) {
  const auto* conversation = std::get_if<Conversation>(&request.prompt);
  if (conversation == nullptr) return std::nullopt;
  if (conversation->thinking.budget) return conversation->thinking.budget;
  if (request.limits.max_tokens != 0) return request.limits.max_tokens / 2;
  return std::nullopt;
}

}  // namespace

Sequence::Sequence(const SequenceSetup& setup, std::size_t choice, KvCache kv_cache)
    : cache(std::move(kv_cache)),
      setup_(setup),
      choice_(choice),
      tokens_(setup.prompt->ids),
      keys_(setup.prompt->keys),
      sampler_(setup.request->sampling, setup.vocab->size()),
      random_(setup.seed + choice),
      constraint_(setup.constraint == nullptr ? nullptr : setup.constraint->clone()),
      text_(*setup.vocab, *setup.prompt, setup.request->limits.stop),
      thinking_budget_(thinking_budget(*setup.request)),
      channel_open_(setup.vocab->find(text_of(ControlToken::kChannelOpen))),
      channel_close_(setup.vocab->find(text_of(ControlToken::kChannelClose))) {}

bool Sequence::is_constrained() const {
  return constraint_ != nullptr && !text_.is_in_reasoning();
}

// A constrained answer may begin with a thought, unless the request turned thinking off.
bool Sequence::may_open_thought() const {
  const auto* conversation = std::get_if<Conversation>(&setup_.request->prompt);
  return generated_ == 0 && channel_open_ && conversation != nullptr &&
         conversation->thinking.is_enabled.value_or(false);
}

void Sequence::ban_ends(std::span<float> logits) const {
  const Limits& limits = setup_.request->limits;
  if (!limits.ignores_end && generated_ >= limits.min_tokens) return;
  for (const std::int32_t id : setup_.vocab->ends()) logits[static_cast<std::size_t>(id)] = kBanned;
}

const TokenMask* Sequence::constrain() {
  if (!is_constrained()) return nullptr;
  if (!mask_) mask_.emplace(setup_.vocab->size());
  if (!constraint_->fill(mask_->words())) return nullptr;
  if (may_open_thought()) mask_->allow(*channel_open_);
  return &*mask_;
}

Sequence::Drawn Sequence::draw(std::span<float> logits) {
  std::optional<Logprobs> logprobs;  // of the model's own distribution: before anything is banned
  if (setup_.request->logprobs) logprobs.emplace(logits, *setup_.request->logprobs, *setup_.vocab);
  Drawn drawn;
  if (forced_) {
    drawn.token = *forced_;
  } else {
    const TokenMask* mask = constrain();
    ban_ends(logits);
    drawn.token = sampler_.sample(logits, tokens_, random_, mask).token;
  }
  if (logprobs) drawn.logprob = logprobs->of(drawn.token, logits[static_cast<std::size_t>(drawn.token)]);
  return drawn;
}

bool Sequence::close_thought() {
  if (!channel_close_) return false;
  forced_ = channel_close_;
  was_thought_cut_ = true;
  loops_.reset();
  return true;
}

std::optional<Finished> Sequence::take(Drawn drawn, std::vector<Event>& events) {
  const std::int32_t token = drawn.token;
  const Limits& limits = setup_.request->limits;
  const bool is_end = setup_.vocab->is_end(token) && !limits.ignores_end;
  const bool was_in_reasoning = text_.is_in_reasoning();
  const bool opens_thought = channel_open_ == token && may_open_thought();
  if (is_constrained() && !opens_thought) constraint_->accept(token);
  forced_.reset();
  ++generated_;
  const bool is_full = tokens_.size() >= setup_.context;
  if (!is_end) text_.push(token, events);
  const bool is_reasoning = was_in_reasoning || text_.is_in_reasoning();
  if (is_reasoning) ++reasoning_tokens_;
  if (drawn.logprob) {
    drawn.logprob->is_reasoning = is_reasoning;
    TokenLogprobs logprobs;
    logprobs.tokens.push_back(std::move(*drawn.logprob));
    append_event(events, std::move(logprobs));
  }
  if (is_end) return finish(text_.tool_calls() > 0 ? FinishReason::kToolCalls : FinishReason::kStop, events);
  if (text_.stop()) return finish(FinishReason::kStop, events);
  if (generated_ == limits.max_tokens || is_full) return finish(FinishReason::kLength, events);
  tokens_.push_back(token);
  keys_.push_back(static_cast<TokenKey>(token));

  const bool is_loop = limits.guards_against_loops && loops_.push(token);
  if (text_.is_in_reasoning()) {
    const bool is_over_budget = thinking_budget_ && reasoning_tokens_ >= *thinking_budget_;
    if ((is_loop || is_over_budget) && close_thought()) return std::nullopt;
  }
  if (is_loop) return finish(FinishReason::kLoop, events);
  return std::nullopt;
}

Finished Sequence::finish(FinishReason reason, std::vector<Event>& events) {
  text_.finish(events);
  Finished finished;
  finished.reason = reason;
  // A stop text may have been completed by what was held back.
  if (text_.stop()) finished.stop = *text_.stop();
  finished.was_thought_cut = was_thought_cut_;
  finished.completion_tokens = generated_;
  finished.reasoning_tokens = reasoning_tokens_;
  return finished;
}

}  // namespace carat
