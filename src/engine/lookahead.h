// Lookahead: generation that guesses some tokens with an assistant and checks them in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "decoder/drafter.h"
#include "engine/draft_depth.h"
#include "engine/session.h"
#include "model/assistant.h"

namespace carat {

// Stands in for Session::append(token) while an answer is generated: the logits are the same to the bit, since a row's
// logits do not depend on the rows beside it. The caller picks tokens however it likes; a guess saves a pass when the
// caller picks it. While answers are generated, the session belongs to this.
class Lookahead {
 public:
  // session must outlive this. max_depth: most tokens guessed at once; the depth in use adapts itself.
  Lookahead(Session& session, std::shared_ptr<const Assistant> assistant, std::size_t max_depth = 8);

  // Logits [vocab] after `token`, which follows the tokens given so far; valid until the next call. The session has
  // been given a prompt by append. Throws as Session::append does.
  std::span<const float> advance(std::int32_t token);

  // Makes the session forget guesses that nobody picked: to be called when the answer ends.
  void finish();

  struct Counts {
    std::size_t passes = 0;    // of the target
    std::size_t proposed = 0;  // guesses
    std::size_t accepted = 0;  // guesses that came true
  };
  const Counts& counts() const { return counts_; }

 private:
  void start_round(std::int32_t token);

  Session& session_;
  std::shared_ptr<const Assistant> assistant_;
  Drafter drafter_;
  DraftDepth depth_;
  Counts counts_;

  // The round at hand: the tokens of its pass (the first was picked, the others guessed), and for each the logits and
  // hidden state after it.
  std::vector<std::int32_t> round_;
  std::size_t picked_ = 0;       // of round_; 0: no round yet
  std::size_t start_ = 0;        // position of its first token
  AlignedBuffer<float> logits_;  // [max_depth + 1, vocab]
  AlignedBuffer<float> hidden_;  // the same rows, [.., hidden]
};

}  // namespace carat
