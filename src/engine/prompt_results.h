// What requests ask of a prompt's own rows, beside the tokens that follow it: log probabilities, a vector.
#pragma once

#include <cstddef>
#include <span>

#include "engine/pending_answer.h"
#include "text/vocab.h"

namespace carat {

// Every row's logits or hidden state, not only the last one's.
bool wants_every_row(const Request& request);

// Logits after `position` tell of the token behind it: [vocab]. With those of the last, PromptLogprobs are sent for
// every choice. Where the request asks for none, nothing happens.
void add_prompt_logprob(PendingAnswer& answer, std::size_t position, std::span<const float> logits, const Vocab& vocab);

// Adds the hidden state of the token at `position` to those that make up the prompt's vector: [hidden]. True with the
// last one: then Embedding is sent, and the answer is complete.
bool add_to_embedding(PendingAnswer& answer, std::size_t position, std::span<const float> hidden, const Vocab& vocab);

}  // namespace carat
