// Sequence: one answer being made: its tokens, its keys and values, and what decides on the next token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "decoder/kv_cache.h"
#include "engine/answer_text.h"
#include "engine/loop_guard.h"
#include "engine/prompt.h"
#include "engine/request.h"
#include "engine/stream.h"
#include "sampling/sampler.h"
#include "sampling/token_constraint.h"

namespace carat {

// What a sequence is made of, beside its KV cache; shared by all choices of a request, immutable.
struct SequenceSetup {
  const Vocab* vocab = nullptr;
  const Request* request = nullptr;  // its prompt may be gone
  const BuiltPrompt* prompt = nullptr;
  const TokenConstraint* constraint = nullptr;  // as the answer begins; null for none
  std::uint64_t seed = 0;
  std::size_t context = 0;
};

class Sequence {
 public:
  // What the setup points to must outlive the sequence.
  Sequence(const SequenceSetup& setup, std::size_t choice, KvCache cache);

  std::size_t choice() const { return choice_; }
  const std::vector<std::int32_t>& tokens() const { return tokens_; }  // prompt and answer, as far as it goes on
  const std::vector<TokenKey>& keys() const { return keys_; }          // of these
  std::size_t generated() const { return generated_; }
  std::size_t reasoning_tokens() const { return reasoning_tokens_; }

  KvCache cache;
  std::size_t computed = 0;  // of tokens(), those whose keys and values are in the cache

  // A token, as drawn from logits.
  struct Drawn {
    std::int32_t token = 0;
    std::optional<TokenLogprob> logprob;
  };
  // The next token. logits: [vocab] after the last of tokens(), written over. Changes nothing but the random stream, so
  // sequences may draw at once. Throws Error(kInternal) for logits that are no numbers, and what the constraint throws.
  Drawn draw(std::span<float> logits);

  // Appends the token and its events. What it returns ends the answer; its last events are among `events` then, but
  // not Finished itself.
  std::optional<Finished> take(Drawn drawn, std::vector<Event>& events);

  // The end for another reason: what was held back goes to `events`.
  Finished finish(FinishReason reason, std::vector<Event>& events);

 private:
  void ban_ends(std::span<float> logits) const;
  // What may come next; null where anything may.
  const TokenMask* constrain();
  // Ends the thought: its closing token comes next, whatever the model says.
  bool close_thought();
  bool may_open_thought() const;
  bool is_constrained() const;

  SequenceSetup setup_;
  std::size_t choice_;
  std::vector<std::int32_t> tokens_;
  std::vector<TokenKey> keys_;
  std::size_t generated_ = 0;
  std::size_t reasoning_tokens_ = 0;

  Sampler sampler_;
  Random random_;
  std::unique_ptr<TokenConstraint> constraint_;
  std::optional<TokenMask> mask_;  // of constraint_
  AnswerText text_;
  LoopGuard loops_;
  std::optional<std::size_t> thinking_budget_;
  std::optional<std::int32_t> channel_open_, channel_close_;
  std::optional<std::int32_t> forced_;  // the next token
  bool was_thought_cut_ = false;
};

}  // namespace carat
