#include "engine/prompt_results.h"

#include <utility>
#include <vector>

#include "engine/logprobs.h"

namespace carat {

bool wants_every_row(const Request& request) {
  return request.prompt_logprobs.has_value() || request.wants_embedding;
}

void add_prompt_logprob(PendingAnswer& answer, std::size_t position, std::span<const float> logits,
                        const Vocab& vocab) {
  const std::vector<std::int32_t>& ids = answer.prompt.ids;
  if (!answer.request.prompt_logprobs || answer.has_prompt_logprobs) return;
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

bool add_to_embedding(PendingAnswer& answer, std::size_t position, std::span<const float> hidden, const Vocab& vocab) {
  const std::vector<std::int32_t>& ids = answer.prompt.ids;
  const bool is_start = position == 0 && ids.size() > 1 && ids[0] == vocab.bos();
  // A sequence that was preempted comes by here again.
  if (!is_start && answer.embedding.last_position() < static_cast<std::ptrdiff_t>(position)) {
    answer.embedding.add(position, hidden);
  }
  if (position + 1 != ids.size()) return false;
  answer.send_body(0, Embedding{answer.embedding.direction()});
  return true;
}

}  // namespace carat
