#include "cli/answer.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "cli/stopwatch.h"
#include "sampling/sampler.h"

namespace carat {

namespace {

double rate(std::size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

// While an answer is generated: however it ends, the session forgets what was guessed and not taken.
class Guessing {
 public:
  explicit Guessing(Lookahead* lookahead) : lookahead_(lookahead), before_(total()) {}
  Guessing(const Guessing&) = delete;
  Guessing& operator=(const Guessing&) = delete;
  ~Guessing() {
    if (lookahead_ != nullptr) lookahead_->finish();
  }
  // Of this answer.
  Lookahead::Counts counts() const {
    const Lookahead::Counts now = total();
    return {now.passes - before_.passes, now.proposed - before_.proposed, now.accepted - before_.accepted};
  }

 private:
  Lookahead::Counts total() const { return lookahead_ != nullptr ? lookahead_->counts() : Lookahead::Counts{}; }

  Lookahead* lookahead_;
  Lookahead::Counts before_;
};

}  // namespace

double AnswerStats::prefill_rate() const {
  return rate(prompt_tokens - reused_tokens, prefill_seconds);
}

double AnswerStats::generation_rate() const {
  return rate(generated_tokens, generation_seconds);
}

Answer generate_answer(Session& session, Lookahead* lookahead, const MediaPrompt& prompt, const AnswerOptions& options,
                       std::shared_ptr<const Grammar> grammar, const std::function<void(std::int32_t)>& on_token,
                       const std::function<bool()>& is_cancelled) {
  if (prompt.ids.size() > session.context()) {
    throw Error(ErrorKind::kBadInput, str("the prompt has ", prompt.ids.size(), " tokens, the context holds ",
                                          session.context(), ". Shorten it, or give a longer context with --ctx."));
  }
  const Vocab& vocab = session.model().tokenizer().vocab();
  SamplingParams params = options.sampling;
  if (options.ignores_end) {
    for (const std::int32_t id : vocab.ends()) {
      params.logit_bias.push_back({id, -std::numeric_limits<double>::infinity()});
    }
  }
  Sampler sampler(params, session.model().config().decoder.vocab);
  Random random(params.seed ? *params.seed : fresh_seed());
  std::optional<GrammarState> form;
  if (grammar) form.emplace(std::move(grammar));

  Answer answer;
  AnswerStats& stats = answer.stats;
  stats.prompt_tokens = prompt.ids.size();
  // The last token has to go in again, for its logits.
  stats.reused_tokens = session.held_prefix(std::span(prompt.ids).first(prompt.ids.size() - 1), prompt.media);
  session.rewind(stats.reused_tokens);
  std::vector<MediaSpan> media;  // of the rest
  for (const MediaSpan& span : prompt.media) {
    if (span.first >= stats.reused_tokens) media.push_back({span.first - stats.reused_tokens, span.soft});
  }

  const Stopwatch prefill;
  std::span<const float> logits;
  try {
    logits = session.append(std::span(prompt.ids).subspan(stats.reused_tokens), media, is_cancelled);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCancelled) throw;
    answer.finish_reason = FinishReason::kCancelled;
    return answer;
  }
  stats.prefill_seconds = prefill.seconds();

  const Guessing guessing(lookahead);
  std::vector<std::int32_t> tokens = prompt.ids;  // the session may hold guesses as well
  const Stopwatch generation;
  while (true) {
    if (is_cancelled && is_cancelled()) {
      answer.finish_reason = FinishReason::kCancelled;
      break;
    }
    const TokenMask* mask = form ? &form->allowed() : nullptr;
    if (mask != nullptr && mask->allowed_count() == 0) {
      throw Error(ErrorKind::kBadInput,
                  "the grammar has come to a dead end: no token may follow, and the answer is not complete.");
    }
    const std::int32_t id = sampler.sample(logits, tokens, random, mask).token;
    if (form) form->accept(id);
    ++stats.generated_tokens;
    if (!options.ignores_end && vocab.is_end(id)) break;
    on_token(id);
    if (stats.generated_tokens == options.max_tokens || tokens.size() == session.context()) {
      answer.finish_reason = FinishReason::kLength;
      break;
    }
    tokens.push_back(id);
    logits = lookahead != nullptr ? lookahead->advance(id) : session.append(std::span(&id, 1));
  }
  stats.generation_seconds = generation.seconds();
  stats.guessed_tokens = guessing.counts().proposed;
  stats.accepted_guesses = guessing.counts().accepted;
  return answer;
}

std::string stats_text(const AnswerStats& stats, const Session& session) {
  std::ostringstream out;
  out.precision(1);
  out << std::fixed << "prompt " << stats.prompt_tokens << " tokens";
  if (stats.reused_tokens > 0) out << " (" << stats.reused_tokens << " in the cache)";
  out << ", " << stats.prefill_rate() << " tokens/s; answer " << stats.generated_tokens << " tokens, "
      << stats.generation_rate() << " tokens/s";
  if (stats.guessed_tokens > 0) {
    out << "; of " << stats.guessed_tokens << " guesses " << stats.accepted_guesses << " came true";
  }
  out << "\n";
  const ResidentMemory resident = resident_memory();
  const auto mebibytes = [](std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  out << "memory " << mebibytes(resident.total) << " MiB, of which " << mebibytes(resident.file)
      << " MiB are the model's file; " << session.threads() << " threads, " << session.isa() << "\n";
  return out.str();
}

}  // namespace carat
