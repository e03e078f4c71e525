#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "decoder/drafter.h"
#include "decoder/scratch.h"
#include "engine/answer_constraint.h"
#include "engine/answer_ends.h"
#include "engine/batcher.h"
#include "engine/fair_queue.h"
#include "engine/pending_answer.h"
#include "engine/prompt.h"
#include "engine/running_sequences.h"
#include "engine/step_runner.h"
#include "model/assistant.h"
#include "sampling/random.h"

namespace carat {
namespace {

using Clock = PendingAnswer::Clock;

constexpr std::size_t kDefaultContext = 32768;
constexpr std::size_t kMaxChoices = 8;
constexpr std::size_t kMaxLogprobs = 20;
constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxStopBytes = 1024;
constexpr std::size_t kMaxRetrySeconds = 60;

// slack: as that of KvCacheOptions.
KvCacheOptions kv_options(const EngineOptions& options, std::size_t slack) {
  return {options.kv_type, options.kv_type, options.context, std::min(options.chunk, options.context), slack};
}

// The longest context of at most `context` tokens that fits the budget; 0 where none does.
std::size_t longest_context(const DecoderConfig& config, EngineOptions options, std::size_t context,
                            std::size_t slack) {
  std::size_t fits = 0;
  std::size_t fails = context + 1;
  while (fits + 1 < fails) {
    options.context = fits + (fails - fits) / 2;
    (KvCache::bytes_needed(config, kv_options(options, slack)) <= options.kv_budget ? fits : fails) = options.context;
  }
  return fits;
}

// Positions behind the window that drafters see as well.
std::size_t slack_for(bool can_guess) {
  return can_guess ? StepRunner::kGuessSlack : 0;
}

void check_numbers(const EngineOptions& options) {
  if (options.max_running == 0 || options.max_running > options.chunk) {
    throw Error(ErrorKind::kBadInput,
                str(options.max_running, " sequences at once, expected 1 to ", options.chunk, ", the rows of a step."));
  }
}

// The options with defaults filled in. Throws Error(kBadInput, kOutOfMemory).
EngineOptions checked(const DecoderConfig& config, std::size_t trained_context, std::size_t slack,
                      EngineOptions options) {
  check_numbers(options);
  KvCache::require_type(config, options.kv_type);
  if (options.context > trained_context) {
    throw Error(ErrorKind::kBadInput,
                str("a context of ", options.context, " tokens is more than the ", trained_context,
                    " the model was made for. Use --ctx ", trained_context, " or less."));
  }
  const std::size_t available = available_memory();
  if (options.kv_budget == 0) options.kv_budget = available / 3;
  const std::size_t wanted = options.context != 0 ? options.context : std::min(trained_context, kDefaultContext);
  const std::size_t longest = longest_context(config, options, wanted, slack);
  if (longest < (options.context != 0 ? options.context : 1)) {
    throw Error(
        ErrorKind::kOutOfMemory,
        str("a context of ", wanted, " tokens does not fit into a key/value cache of ", options.kv_budget >> 20,
            " MiB (", available >> 20, " MiB of memory are free). Use a shorter context (--ctx) or a larger cache."));
  }
  options.context = longest;
  return options;
}

// The most rows that a picture may need at once, where pictures are seen whole.
std::size_t rows_of_a_picture(const Model& model) {
  constexpr std::size_t kBeside = 32;  // as many sequences as usual
  const bool is_whole = model.vision() != nullptr && model.config().decoder.image_attention != ImageAttention::kCausal;
  return is_whole ? StepRunner::kLargestPicture + kBeside : 0;
}

void require_scratch(const DecoderConfig& config, const EngineOptions& options, std::size_t rows) {
  const std::size_t needed = Scratch::bytes_needed(config, rows) +
                             std::min(options.max_running, StepRunner::kLogitRows) * config.vocab * sizeof(float) +
                             (options.assistant == nullptr ? 0 : Drafter::bytes_needed(options.assistant->config()));
  const std::size_t available = available_memory();
  if (needed <= available) return;
  throw Error(ErrorKind::kOutOfMemory, str("the engine needs ", needed >> 20, " MiB for activations and logits, ",
                                           available >> 20, " MiB are free. Use fewer sequences at once."));
}

void check_request(const Request& request, const Vocab& vocab) {
  validate(request.sampling, vocab.size());
  const auto refuse = [](auto... words) { throw Error(ErrorKind::kBadInput, str(words...)); };
  if (request.choices == 0 || request.choices > kMaxChoices) {
    refuse("n is ", request.choices, ", expected 1 to ", kMaxChoices, ".");
  }
  if (request.wants_embedding && request.choices != 1)
    refuse("an embedding has one choice, not ", request.choices, ".");
  for (const std::optional<std::size_t>& logprobs : {request.logprobs, request.prompt_logprobs}) {
    if (logprobs && *logprobs > kMaxLogprobs) {
      refuse("log probabilities of ", *logprobs, " tokens are asked for, expected 0 to ", kMaxLogprobs, ".");
    }
  }
  const std::vector<std::string>& stops = request.limits.stop;
  if (stops.size() > kMaxStops) refuse(stops.size(), " stop texts, expected at most ", kMaxStops, ".");
  for (const std::string& stop : stops) {
    if (stop.size() > kMaxStopBytes)
      refuse("a stop text of ", stop.size(), " bytes, the limit is ", kMaxStopBytes, ".");
  }
}

bool asks_for_constraint(const Request& request) {
  if (request.format.kind != FormatKind::kText) return true;
  const auto* conversation = std::get_if<Conversation>(&request.prompt);
  return conversation != nullptr && conversation->tool_choice.mode == ToolMode::kRequired;
}

}  // namespace

struct Engine::Impl {
  // Where other threads meet the engine's. Handles keep it alive.
  struct Mailbox {
    std::mutex mutex;  // guards all that follows but the atomics
    std::condition_variable_any has_news;
    FairQueue<std::shared_ptr<PendingAnswer>> queue;
    bool is_draining = false;
    bool has_cancelled = false;  // something in the queue may be
    EngineStatus status;         // as of the last step; without what concerns the queue
    Clock::time_point step_begun;
    double busy_seconds = 0;                // in which something ran
    std::atomic<bool> has_arrivals{false};  // since the engine last looked
  };

  Impl(std::unique_ptr<StepRunner> step_runner, EngineOptions engine_options, std::size_t most_rows)
      : runner(std::move(step_runner)),
        options(std::move(engine_options)),
        info(runner->info()),
        prompts(*runner, most_rows),
        kv(kv_options(options, slack_for(runner->can_guess()))),
        sequences(*runner, ends, {kv, options.kv_budget, options.max_running}),
        batcher(*runner, sequences, {kv, most_rows, options.max_running}) {
    if (!options.name.empty()) info.name = options.name;
    info.context = options.context;
    EngineStatus& status = mailbox->status;
    status.queue_limit = options.max_queued;
    status.running_limit = options.max_running;
    status.kv_budget_bytes = options.kv_budget;
    thread = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  void run(const std::stop_token& stop) {
    while (wait_for_work(stop)) {
      try {
        take_turn(stop);
      } catch (const std::exception& failure) {
        // Where the file is whole, there was no memory for the turn itself.
        if (runner->is_intact()) sequences.end_youngest(failure);
        end_if_changed();
      }
      publish();
    }
    end_everything(finished_for(FinishReason::kCancelled), false);
    publish();
  }

  void take_turn(const std::stop_token& stop) {
    end_cancelled();
    end_if_changed();
    admit();
    if (sequences.count() == 0) return;
    batcher.step([this] { return mailbox->has_arrivals.load(std::memory_order_relaxed); },
                 [&stop] { return stop.stop_requested(); });
  }

  // False when the engine is to end.
  bool wait_for_work(const std::stop_token& stop) {
    std::unique_lock lock(mailbox->mutex);
    mailbox->status.seconds_since_step = 0;
    mailbox->has_news.wait(
        lock, stop, [this] { return !mailbox->queue.empty() || mailbox->has_cancelled || sequences.count() > 0; });
    mailbox->has_arrivals = false;
    mailbox->step_begun = Clock::now();
    return !stop.stop_requested();
  }

  void end_cancelled() {
    std::vector<std::shared_ptr<PendingAnswer>> gone;
    {
      const std::lock_guard lock(mailbox->mutex);
      if (!mailbox->has_cancelled) return;
      gone = mailbox->queue.remove_if([](const auto& answer) { return answer->is_cancelled.load(); });
      mailbox->has_cancelled = false;
    }
    for (const auto& answer : gone) ends.end_waiting(*answer, finished_for(FinishReason::kCancelled));
    sequences.end_cancelled();
  }

  // The engine is unhealthy before the first answer is told: whoever hears of it and asks, learns the same.
  void end_if_changed() {
    if (runner->is_intact()) return;
    end_everything(finished_by(Error(ErrorKind::kBadFile, std::string(StepRunner::kChangedFile))), false);
  }

  // Ends all that runs and waits. Afterwards nothing is taken any more.
  void end_everything(const Finished& finished, bool is_healthy) {
    {
      const std::lock_guard lock(mailbox->mutex);
      mailbox->status.is_healthy = is_healthy;  // from here on nothing is queued
    }
    while (const std::shared_ptr<PendingAnswer> answer = pop()) ends.end_waiting(*answer, finished);
    sequences.end_all(finished);
  }

  // The next that waits; null where nobody does.
  std::shared_ptr<PendingAnswer> pop() {
    const std::lock_guard lock(mailbox->mutex);
    return mailbox->queue.empty() ? nullptr : mailbox->queue.pop();
  }

  void admit() {
    while (true) {
      std::shared_ptr<PendingAnswer> answer;
      {
        const std::lock_guard lock(mailbox->mutex);
        if (mailbox->queue.empty() || !sequences.has_room_for(*mailbox->queue.front())) return;
        answer = mailbox->queue.pop();
      }
      sequences.admit(answer);
    }
  }

  void publish() {
    const AnswerEnds::Counters& ended = ends.counters();
    const RunningSequences::Counters& begun = sequences.counters();
    const GuessRounds::Counters& guesses = batcher.guesses();
    const std::lock_guard lock(mailbox->mutex);
    EngineStatus& status = mailbox->status;
    status.running = sequences.count();
    status.kv_bytes = sequences.memory().used_bytes();
    status.kv_cached_bytes = sequences.memory().cached_bytes();
    status.finished = ended.finished;
    status.cancelled = ended.cancelled;
    status.failed = ended.failed;
    status.preempted = begun.preempted;
    status.steps = batcher.steps();
    status.prompt_tokens = begun.prompt_tokens;
    status.cached_tokens = begun.cached_tokens;
    status.completion_tokens = ended.completion_tokens;
    status.guessed_tokens = guesses.guessed_tokens;
    status.accepted_guesses = guesses.accepted_guesses;
    mailbox->busy_seconds += std::chrono::duration<double>(Clock::now() - mailbox->step_begun).count();
  }

  void stop() {
    const std::lock_guard lock(stopping);
    thread.request_stop();
    if (thread.joinable()) thread.join();
  }

  // Until one place in the queue is free: about as long as answers have followed each other so far.
  std::size_t retry_seconds() const {
    const double answers = static_cast<double>(std::max<std::uint64_t>(1, mailbox->status.finished));
    return std::min(static_cast<std::size_t>(mailbox->busy_seconds / answers) + 1, kMaxRetrySeconds);
  }

  std::unique_ptr<StepRunner> runner;
  EngineOptions options;
  ModelInfo info;
  PromptBuilder prompts;
  KvCacheOptions kv;
  AnswerEnds ends;
  RunningSequences sequences;
  Batcher batcher;
  std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
  std::mutex stopping;  // guards the joining of thread
  std::jthread thread;  // last: joined before what it uses goes
};

Engine::Engine(std::unique_ptr<StepRunner> runner, EngineOptions options) {
  options =
      checked(runner->config(), runner->info().trained_context, slack_for(runner->can_guess()), std::move(options));
  const std::size_t rows = options.chunk;
  impl_ = std::make_unique<Impl>(std::move(runner), std::move(options), rows);
}

Engine::Engine(std::shared_ptr<const Model> model, const ComputeOptions& compute, EngineOptions options) {
  const DecoderConfig& config = model->config().decoder;
  options = checked(config, config.context_length, slack_for(options.assistant != nullptr), std::move(options));
  const std::size_t rows = std::max(options.chunk, rows_of_a_picture(*model));
  require_scratch(config, options, rows);
  if (!options.constraints) options.constraints = grammar_constraints();
  if (options.name.empty()) options.name = model->path().filename().string();
  auto runner = make_model_runner(std::move(model), compute, rows, options.assistant);
  impl_ = std::make_unique<Impl>(std::move(runner), std::move(options), rows);
}

Engine::~Engine() = default;

AnswerHandle Engine::submit(Request request, Listener listener) {
  Impl& s = *impl_;
  const auto answer = std::make_shared<PendingAnswer>();
  check_request(request, s.runner->tokenizer().vocab());
  answer->prompt = s.prompts.build(request);
  if (answer->prompt.ids.size() >= s.options.context) {
    throw ContextLengthError(answer->prompt.ids.size(), s.options.context);
  }
  if (s.options.constraints) {
    answer->constraint = s.options.constraints(request, s.runner->tokenizer());
  } else if (asks_for_constraint(request)) {
    throw Error(ErrorKind::kUnsupported, "answers in a given format, and required tool calls, are not to be had here.");
  }
  answer->seed = request.sampling.seed ? *request.sampling.seed : fresh_seed();
  answer->request = std::move(request);
  answer->listener = std::move(listener);

  const std::shared_ptr<Impl::Mailbox> mailbox = s.mailbox;
  // Made before anything is begun: from the queue on, nothing throws.
  AnswerHandle handle([mailbox, weak = std::weak_ptr(answer)] {
    const std::shared_ptr<PendingAnswer> pending = weak.lock();
    if (pending == nullptr) return;
    {
      const std::lock_guard lock(mailbox->mutex);
      pending->is_cancelled = true;
      mailbox->has_cancelled = true;
    }
    mailbox->has_news.notify_all();
  });
  {
    const std::lock_guard lock(mailbox->mutex);
    if (!mailbox->status.is_healthy) throw Error(ErrorKind::kBadFile, std::string(StepRunner::kChangedFile));
    const bool is_full = mailbox->queue.size() >= s.options.max_queued;
    if (is_full || mailbox->is_draining) {
      ++mailbox->status.refused;
      throw BusyError(is_full ? str(mailbox->queue.size(), " requests are waiting already.")
                              : std::string("the engine is shutting down."),
                      s.retry_seconds());
    }
    mailbox->queue.push(answer->request.user, answer);
    ++mailbox->status.requests;
    mailbox->has_arrivals = true;
  }
  mailbox->has_news.notify_all();
  return handle;
}

RenderedPrompt Engine::render(const Request& request) const {
  BuiltPrompt prompt = impl_->prompts.build(request);
  return {std::move(prompt.text), std::move(prompt.ids)};
}

EngineStatus Engine::status() const {
  const Impl::Mailbox& mailbox = *impl_->mailbox;
  const std::lock_guard lock(impl_->mailbox->mutex);
  EngineStatus status = mailbox.status;
  status.queued = mailbox.queue.size();
  if (status.running > 0) {
    status.seconds_since_step = std::chrono::duration<double>(Clock::now() - mailbox.step_begun).count();
  }
  return status;
}

const ModelInfo& Engine::info() const {
  return impl_->info;
}

const Tokenizer& Engine::tokenizer() const {
  return impl_->runner->tokenizer();
}

void Engine::drain() {
  const std::lock_guard lock(impl_->mailbox->mutex);
  impl_->mailbox->is_draining = true;
}

void Engine::stop() {
  impl_->stop();
}

}  // namespace carat
