#include "engine/session.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "decoder/decoder.h"
#include "kernels/cpu.h"

namespace carat {
namespace {

constexpr std::size_t kDefaultContext = 4096;
constexpr std::size_t kMaxChunk = 8192;
// Rows of logits made at once when all are asked for: 32 x 262,144 floats are 32 MiB.
constexpr std::size_t kLogitRows = 32;

KvCacheOptions cache_options(const SessionOptions& options) {
  return {options.kv_type, options.kv_type, options.context, std::min(options.chunk, options.context)};
}

// The options with defaults filled in. Throws Error(kBadInput).
SessionOptions checked(const DecoderConfig& config, SessionOptions options) {
  if (options.context == 0) options.context = std::min(config.context_length, kDefaultContext);
  if (options.context > config.context_length) {
    throw Error(ErrorKind::kBadInput,
                str("a context of ", options.context, " tokens is more than the ", config.context_length,
                    " the model was made for. Use --ctx ", config.context_length, " or less."));
  }
  if (options.chunk == 0 || options.chunk > kMaxChunk) {
    throw Error(ErrorKind::kBadInput, str("a chunk of ", options.chunk, " tokens, expected 1 to ", kMaxChunk, "."));
  }
  options.chunk = std::min(options.chunk, options.context);
  if (options.kv_type != DType::kF32 && options.kv_type != DType::kF16 && options.kv_type != DType::kBF16) {
    throw Error(ErrorKind::kBadInput,
                str("a key/value cache of type ", dtype_info(options.kv_type).name, ", expected f32, f16 or bf16."));
  }
  return options;
}

Session::Memory needed(const DecoderConfig& config, const SessionOptions& options) {
  Session::Memory memory;
  memory.kv_bytes = KvCache::bytes_needed(config, cache_options(options));
  memory.scratch_bytes = Scratch::bytes_needed(config, options.chunk) + config.vocab * sizeof(float);
  return memory;
}

// Throws Error(kOutOfMemory) where the session would not fit.
void require_memory(const DecoderConfig& config, const SessionOptions& options) {
  const Session::Memory memory = needed(config, options);
  const std::size_t available = available_memory();
  if (memory.kv_bytes + memory.scratch_bytes <= available) return;
  throw Error(ErrorKind::kOutOfMemory, str("a context of ", options.context, " tokens needs ", memory.kv_bytes >> 20,
                                           " MiB of key/value cache (", dtype_info(options.kv_type).name, ") and ",
                                           memory.scratch_bytes >> 20, " MiB of activations; ", available >> 20,
                                           " MiB are free. Use a shorter context (--ctx) or --kv-type f16."));
}

}  // namespace

struct Session::Impl {
  Impl(std::shared_ptr<const Model> shared_model, const ComputeOptions& options, const SessionOptions& session)
      : model(std::move(shared_model)),
        config(model->config().decoder),
        session_options(checked(config, session)),
        kernels(select_kernels(options.isa)),
        pool(options.threads == 0 ? ThreadPool::physical_cores() : options.threads),
        matmul(kernels, pool, options.activations),
        attention(kernels, pool),
        decoder(config, model->weights()),
        cache((require_memory(config, session_options), config), cache_options(session_options)),
        scratch(config, session_options.chunk) {}

  // Runs tokens_[cached, length) through the decoder, chunk by chunk, wanting logits of positions from wanted_from
  // on; calls after_chunk(first wanted position, hidden [wanted, hidden]) where there are any.
  template <typename AfterChunk>
  void run(std::size_t wanted_from, const std::function<bool()>& is_cancelled, const AfterChunk& after_chunk) {
    cache.grow_to(tokens.size());
    KvCache* const caches[] = {&cache};
    while (cached < tokens.size()) {
      if (is_cancelled && is_cancelled()) throw Error(ErrorKind::kCancelled, "cancelled");
      const std::size_t rows = std::min(session_options.chunk, tokens.size() - cached);
      Batch batch;
      batch.caches = caches;
      for (std::size_t i = cached; i < cached + rows; ++i) batch.rows.push_back({tokens[i], 0, i, i >= wanted_from});
      const MatView<const float> hidden = decoder.forward(compute, batch, scratch, trace);
      if (!hidden.empty()) after_chunk(std::max(cached, wanted_from), hidden);
      cached += rows;
      written = std::max(written, cached);
    }
  }

  void accept(std::span<const std::int32_t> more) {
    for (const std::int32_t token : more) {
      if (token < 0 || static_cast<std::size_t>(token) >= config.vocab) {
        throw Error(ErrorKind::kBadInput, str("token id ", token, " is outside the vocabulary of ", config.vocab, "."));
      }
    }
    if (more.empty())
      throw Error(ErrorKind::kBadInput, "no tokens to run; give at least one (bos, for an empty text).");
    if (more.size() > session_options.context - tokens.size()) {
      throw Error(ErrorKind::kBadInput,
                  str("the context is full: ", tokens.size(), " tokens held, ", more.size(),
                      " more asked for, room for ", session_options.context,
                      ". Shorten the text or raise --ctx (the model was made for ", config.context_length, ")."));
    }
    tokens.insert(tokens.end(), more.begin(), more.end());
  }

  // `logits` for at least that many rows.
  MatView<float> logit_rows(std::size_t rows) {
    if (logits.size() < rows * config.vocab) logits = AlignedBuffer<float>(rows * config.vocab, "logits");
    return logits.mat(rows, config.vocab);
  }

  std::shared_ptr<const Model> model;
  const DecoderConfig& config;
  SessionOptions session_options;
  const KernelTable& kernels;
  ThreadPool pool;
  Matmul matmul;
  Attention attention;
  Compute compute{kernels, pool, matmul, attention};
  Decoder decoder;
  KvCache cache;
  Scratch scratch;
  AlignedBuffer<float> logits;
  Trace* trace = nullptr;

  std::vector<std::int32_t> tokens;
  std::size_t cached = 0;   // of tokens, those whose keys and values are in the cache
  std::size_t written = 0;  // most that were, since the cache was last empty: what the rings have lost, they have lost
};

Session::Session(std::shared_ptr<const Model> model, const ComputeOptions& compute, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), compute, options)) {}

Session::~Session() = default;

const Model& Session::model() const {
  return *impl_->model;
}
std::size_t Session::context() const {
  return impl_->session_options.context;
}
std::size_t Session::position() const {
  return impl_->tokens.size();
}
const std::vector<std::int32_t>& Session::tokens() const {
  return impl_->tokens;
}
std::size_t Session::threads() const {
  return impl_->pool.threads();
}
std::string_view Session::isa() const {
  return impl_->kernels.name;
}
void Session::set_trace(Trace* trace) {
  impl_->trace = trace;
}

std::span<const float> Session::append(std::span<const std::int32_t> tokens,
                                       const std::function<bool()>& is_cancelled) {
  Impl& s = *impl_;
  s.accept(tokens);
  const MatView<float> logits = s.logit_rows(1);
  try {
    s.run(s.tokens.size() - 1, is_cancelled,
          [&](std::size_t, MatView<const float> hidden) { s.decoder.logits(s.compute, hidden, logits); });
  } catch (const Error&) {
    s.tokens.resize(s.cached);  // out of memory or cancelled: what is held is what was run
    throw;
  }
  return logits.row(0);
}

void Session::append_all_logits(std::span<const std::int32_t> tokens,
                                const std::function<void(std::size_t, MatView<const float>)>& on_logits) {
  Impl& s = *impl_;
  const std::size_t start = s.tokens.size();
  s.accept(tokens);
  const MatView<float> logits = s.logit_rows(std::min(kLogitRows, tokens.size()));
  s.run(start, {}, [&](std::size_t first, MatView<const float> hidden) {
    for (std::size_t row = 0; row < hidden.rows(); row += kLogitRows) {
      const std::size_t rows = std::min(kLogitRows, hidden.rows() - row);
      s.decoder.logits(s.compute, hidden.row_range(row, rows), logits.row_range(0, rows));
      on_logits(first - start + row, logits.row_range(0, rows));
    }
  });
}

void Session::rewind(std::size_t length) {
  Impl& s = *impl_;
  if (length >= s.tokens.size()) return;
  // The token after position length - 1 sees the window before it; is all of it still in the ring?
  const std::size_t oldest_seen =
      length - std::min(length, s.config.window - std::min<std::size_t>(s.config.window, 1));
  if (oldest_seen < s.cache.first_held(s.written)) {
    s.cached = 0;
    s.written = 0;
  } else {
    s.cached = std::min(s.cached, length);
  }
  s.tokens.resize(length);
}

Session::Memory Session::memory() const {
  return needed(impl_->config, impl_->session_options);
}

Session::Memory Session::memory_needed(const DecoderConfig& config, const SessionOptions& options) {
  return needed(config, checked(config, options));
}

}  // namespace carat
