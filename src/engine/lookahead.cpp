#include "engine/lookahead.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace carat {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Lookahead::Lookahead(Session& session, std::shared_ptr<const Assistant> assistant, std::size_t max_depth)
    : session_(session),
      assistant_(std::move(assistant)),
      drafter_(assistant_->config(), assistant_->weights()),
      depth_(max_depth),
      logits_((max_depth + 1) * assistant_->config().decoder.vocab, "logits of guesses"),
      hidden_((max_depth + 1) * assistant_->config().target_hidden, "states of guesses") {}

std::span<const float> Lookahead::advance(std::int32_t token) {
  if (picked_ != 0 && picked_ < round_.size() && round_[picked_] == token) {
    ++counts_.accepted;
  } else {
    start_round(token);
  }
  const std::size_t vocab = assistant_->config().decoder.vocab;
  return logits_.mat(round_.size(), vocab).row(picked_++);
}

void Lookahead::start_round(std::int32_t token) {
  using Clock = std::chrono::steady_clock;
  const std::size_t vocab = assistant_->config().decoder.vocab;
  const std::size_t width = assistant_->config().target_hidden;
  // The state before `token`: kept from the round that picked the token before it, or left by the prompt.
  const MatView<const float> states = picked_ == 0 ? session_.last_hidden() : hidden_.mat(picked_, width);
  const std::span<const float> last = states.row(states.rows() - 1);
  const std::vector<float> before(last.begin(), last.end());
  finish();

  start_ = session_.position();
  const std::size_t room = session_.context() - std::min(session_.context(), start_ + 1);
  const std::size_t depth = depth_.choose(std::min(room, session_.chunk() - 1));
  const Clock::time_point draft_start = Clock::now();
  round_ = session_.propose(drafter_, token, before, depth);
  round_.insert(round_.begin(), token);
  const double draft_seconds = seconds_since(draft_start);

  const Clock::time_point pass_start = Clock::now();
  session_.append_all_logits(round_, [&](std::size_t first, MatView<const float> logits) {
    for (std::size_t row = 0; row < logits.rows(); ++row) {
      std::ranges::copy(logits.row(row), logits_.data() + (first + row) * vocab);
    }
  });
  const MatView<const float> after = session_.last_hidden();
  for (std::size_t row = 0; row < after.rows(); ++row) {
    std::ranges::copy(after.row(row), hidden_.data() + row * width);
  }
  depth_.measured(depth, draft_seconds, seconds_since(pass_start));
  picked_ = 0;
  ++counts_.passes;
  counts_.proposed += depth;
}

void Lookahead::finish() {
  if (picked_ == 0) return;
  depth_.accepted(picked_ - 1, picked_ == round_.size());
  session_.rewind(start_ + picked_);
  picked_ = 0;
  round_.clear();
}

}  // namespace carat
