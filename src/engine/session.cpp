#include "engine/session.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "decoder/decoder.h"
#include "model/load_decoder.h"

namespace carat {
namespace {

constexpr std::size_t kDefaultContext = 4096;
constexpr std::size_t kMaxChunk = 8192;
// Rows of logits made at once when all are asked for: 32 x 262,144 floats are 32 MiB.
constexpr std::size_t kLogitRows = 32;

// chunk: rows of the largest batch.
KvCacheOptions cache_options(const SessionOptions& options, std::size_t chunk) {
  chunk = std::min(chunk, options.context);
  return {options.kv_type, options.kv_type, options.context, chunk, chunk};
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
  KvCache::require_type(config, options.kv_type);
  return options;
}

Session::Memory needed(const DecoderConfig& config, const SessionOptions& options, std::size_t chunk) {
  Session::Memory memory;
  memory.kv_bytes = KvCache::bytes_needed(config, cache_options(options, chunk));
  memory.scratch_bytes = Scratch::bytes_needed(config, chunk) + config.vocab * sizeof(float);
  return memory;
}

// Throws Error(kOutOfMemory) where the session would not fit.
void require_memory(const DecoderConfig& config, const SessionOptions& options, std::size_t chunk) {
  const Session::Memory memory = needed(config, options, chunk);
  const std::size_t available = available_memory();
  if (memory.kv_bytes + memory.scratch_bytes <= available) return;
  throw Error(ErrorKind::kOutOfMemory, str("a context of ", options.context, " tokens needs ", memory.kv_bytes >> 20,
                                           " MiB of key/value cache (", dtype_info(options.kv_type).name, ") and ",
                                           memory.scratch_bytes >> 20, " MiB of activations; ", available >> 20,
                                           " MiB are free. Use a shorter context (--ctx) or --kv-type q8_0."));
}

}  // namespace

struct Session::Impl {
  Impl(std::shared_ptr<const Model> shared_model, const ComputeOptions& options, const SessionOptions& session)
      : model(std::move(shared_model)),
        config(model->config().decoder),
        session_options(checked(config, session)),
        context(options),
        decoder(config, model->weights()) {
    make_room(session_options.chunk);
  }

  // Cache and scratch for batches of that many rows. What was held has to be run again.
  void make_room(std::size_t rows) {
    require_memory(config, session_options, rows);
    const std::size_t before = scratch ? scratch->max_rows() : 0;
    cached = 0;
    try {
      allocate(rows);
    } catch (const Error&) {
      if (before != 0) allocate(before);
      throw;
    }
  }
  void allocate(std::size_t rows) {
    scratch.reset();
    cache.reset();
    cache.emplace(config, cache_options(session_options, rows), pages);
    scratch.emplace(config, rows);
  }

  // True where the tokens of a picture see each other, so that they go through the model together.
  bool is_seen_whole(const MediaSpan& span) const {
    return config.image_attention != ImageAttention::kCausal && span.soft->kind() != MediaKind::kAudio;
  }

  // Where the batch that begins at `begin` ends: after a chunk, but not within a picture that is seen whole.
  std::size_t batch_end(std::size_t begin) const {
    const std::size_t end = std::min(begin + session_options.chunk, tokens.size());
    for (const HeldMedium& medium : media) {
      if (!medium.is_whole || medium.block.first >= end || medium.block.end <= end) continue;
      return medium.block.first > begin ? medium.block.first : medium.block.end;
    }
    return end;
  }

  // Rows of positions [begin, end).
  std::vector<BatchRow> batch_rows(std::size_t begin, std::size_t end, std::size_t wanted_from) const {
    std::vector<BatchRow> rows;
    for (std::size_t i = begin; i < end; ++i) rows.push_back({tokens[i], 0, i, i >= wanted_from});
    for (const HeldMedium& medium : media) {
      const std::size_t last = std::min(medium.block.end, end);
      for (std::size_t i = std::max(medium.block.first, begin); i < last; ++i) {
        BatchRow& row = rows[i - begin];
        row.soft_row = medium.soft->rows().row(i - medium.block.first).data();
        if (medium.is_whole) row.image = medium.block;
      }
    }
    return rows;
  }

  // Runs tokens_[cached, length) through the decoder, chunk by chunk, wanting logits of positions from wanted_from
  // on; calls after_chunk(first wanted position, hidden [wanted, hidden]) where there are any.
  template <typename AfterChunk>
  void run(std::size_t wanted_from, const std::function<bool()>& is_cancelled, const AfterChunk& after_chunk) {
    KvCache* const caches[] = {&*cache};
    while (cached < tokens.size()) {
      if (is_cancelled && is_cancelled()) throw Error(ErrorKind::kCancelled, "cancelled");
      const std::size_t end = batch_end(cached);
      cache->make_room(cached, end);
      const Batch batch{batch_rows(cached, end, wanted_from), caches};
      if (!std::exchange(is_entered, true)) enter_cached(model->weights());
      hidden = decoder.forward(context.compute(), batch, *scratch, trace);
      if (!hidden.empty()) after_chunk(std::max(cached, wanted_from), hidden);
      cached = end;
    }
  }

  // Throws Error(kBadInput) unless the spans lie in `more`, one after the other, and are as wide as the model.
  void check_media(std::span<const std::int32_t> more, std::span<const MediaSpan> spans) const {
    std::size_t end = 0;
    for (const MediaSpan& span : spans) {
      if (span.first < end || span.end() > more.size()) {
        throw Error(ErrorKind::kBadInput,
                    str("media at tokens ", span.first, " to ", span.end(), " of ", more.size(), ", after ", end, "."));
      }
      if (span.soft->hidden() != config.hidden) {
        throw Error(ErrorKind::kBadInput, str("soft tokens of width ", span.soft->hidden(), ", the model's is ",
                                              config.hidden, ". Is the projector file another model's?"));
      }
      end = span.end();
    }
  }

  void accept(std::span<const std::int32_t> more, std::span<const MediaSpan> spans) {
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
    check_media(more, spans);
    std::size_t largest = 0;
    for (const MediaSpan& span : spans) {
      if (is_seen_whole(span)) largest = std::max(largest, span.soft->count());
    }
    if (largest > scratch->max_rows()) make_room(largest);
    for (const MediaSpan& span : spans) {
      media.push_back({span.soft, {tokens.size() + span.first, tokens.size() + span.end()}, is_seen_whole(span)});
    }
    tokens.insert(tokens.end(), more.begin(), more.end());
  }

  // Forgets tokens from `length` on. A picture that is cut was seen whole: what is left of it has to be run again.
  void cut(std::size_t length) {
    cached = std::min(cached, length);
    while (!media.empty() && media.back().block.end > length) {
      HeldMedium& last = media.back();
      if (last.is_whole) cached = std::min(cached, last.block.first);
      last.block.end = length;
      if (last.block.first >= length) media.pop_back();
    }
    tokens.resize(length);
  }

  // `logits` for at least that many rows.
  MatView<float> logit_rows(std::size_t rows) {
    if (logits.size() < rows * config.vocab) logits = AlignedBuffer<float>(rows * config.vocab, "logits");
    return logits.mat(rows, config.vocab);
  }

  std::shared_ptr<const Model> model;
  const DecoderConfig& config;
  SessionOptions session_options;
  ComputeContext context;
  Decoder decoder;
  bool is_entered = false;  // the weights, into the page tables
  PagePool pages;
  std::optional<KvCache> cache;
  std::optional<Scratch> scratch;
  MatView<const float> hidden;  // of the last chunk's wanted rows, in scratch
  AlignedBuffer<float> logits;
  Trace* trace = nullptr;

  // A medium among the tokens.
  struct HeldMedium {
    SharedSoftTokens soft;
    ImageBlock block;       // its positions; shorter than soft where a rewind has cut it
    bool is_whole = false;  // its tokens see each other
  };

  std::vector<std::int32_t> tokens;
  std::vector<HeldMedium> media;  // in the order of their positions
  std::size_t cached = 0;         // of tokens, those whose keys and values are in the cache
};

Session::Session(std::shared_ptr<const Model> model, const ComputeOptions& compute, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(std::move(model), compute, options)) {}

Session::~Session() = default;

const Model& Session::model() const {
  return *impl_->model;
}
const std::shared_ptr<const Model>& Session::shared_model() const {
  return impl_->model;
}
std::size_t Session::context() const {
  return impl_->session_options.context;
}
std::size_t Session::chunk() const {
  return impl_->session_options.chunk;
}
std::size_t Session::position() const {
  return impl_->tokens.size();
}
const std::vector<std::int32_t>& Session::tokens() const {
  return impl_->tokens;
}
const Compute& Session::compute() const {
  return impl_->context.compute();
}
const Compute& Session::media_compute() const {
  return impl_->context.media_compute();
}
std::size_t Session::threads() const {
  return compute().pool.threads();
}
std::string_view Session::isa() const {
  return compute().kernels.name;
}
void Session::set_profile(Profile* profile) {
  impl_->context.set_profile(profile);
}
void Session::set_trace(Trace* trace) {
  impl_->trace = trace;
}

std::span<const float> Session::append(std::span<const std::int32_t> tokens, std::span<const MediaSpan> media,
                                       const std::function<bool()>& is_cancelled) {
  Impl& s = *impl_;
  s.accept(tokens, media);
  const MatView<float> logits = s.logit_rows(1);
  try {
    s.run(s.tokens.size() - 1, is_cancelled,
          [&](std::size_t, MatView<const float> hidden) { s.decoder.logits(compute(), hidden, logits); });
  } catch (const Error&) {
    s.cut(s.cached);  // out of memory or cancelled: what is held is what was run
    throw;
  }
  return logits.row(0);
}

void Session::append_all_logits(std::span<const std::int32_t> tokens, std::span<const MediaSpan> media,
                                const std::function<void(std::size_t, MatView<const float>)>& on_logits) {
  Impl& s = *impl_;
  const std::size_t start = s.tokens.size();
  s.accept(tokens, media);
  const MatView<float> logits = s.logit_rows(std::min(kLogitRows, tokens.size()));
  s.run(start, {}, [&](std::size_t first, MatView<const float> hidden) {
    for (std::size_t row = 0; row < hidden.rows(); row += kLogitRows) {
      const std::size_t rows = std::min(kLogitRows, hidden.rows() - row);
      s.decoder.logits(compute(), hidden.row_range(row, rows), logits.row_range(0, rows));
      on_logits(first - start + row, logits.row_range(0, rows));
    }
  });
}

std::size_t Session::held_prefix(std::span<const std::int32_t> tokens, std::span<const MediaSpan> media) const {
  const Impl& s = *impl_;
  const auto [end, ignored] = std::mismatch(tokens.begin(), tokens.end(), s.tokens.begin(), s.tokens.end());
  auto same = static_cast<std::size_t>(end - tokens.begin());
  // Placeholders look alike: the first medium that differs, on either side, ends what is the same.
  for (std::size_t i = 0; i < std::max(media.size(), s.media.size()); ++i) {
    const bool is_same = i < media.size() && i < s.media.size() && media[i].soft == s.media[i].soft &&
                         media[i].first == s.media[i].block.first && media[i].end() == s.media[i].block.end;
    if (is_same && media[i].end() <= same) continue;
    if (i < media.size()) same = std::min(same, media[i].first);
    if (i < s.media.size()) same = std::min(same, s.media[i].block.first);
    break;
  }
  return same;
}

MatView<const float> Session::last_hidden() const {
  return impl_->hidden;
}

std::vector<std::int32_t> Session::propose(Drafter& drafter, std::int32_t token, std::span<const float> hidden,
                                           std::size_t count) {
  Impl& s = *impl_;
  return drafter.propose(s.context.compute(), {s.decoder, *s.cache, s.tokens.size(), token, hidden}, count, s.trace);
}

void Session::rewind(std::size_t length) {
  Impl& s = *impl_;
  if (length >= s.tokens.size()) return;
  s.cut(length);
  // The first token to run sees the window before it; is all of it still held?
  const std::size_t oldest_seen =
      s.cached - std::min(s.cached, s.config.window - std::min<std::size_t>(s.config.window, 1));
  if (oldest_seen < s.cache->first_held()) {
    s.cache->clear();
    s.cached = 0;
  }
}

Session::Memory Session::memory() const {
  return needed(impl_->config, impl_->session_options, impl_->scratch->max_rows());
}

Session::Memory Session::memory_needed(const DecoderConfig& config, const SessionOptions& options) {
  const SessionOptions all = checked(config, options);
  return needed(config, all, all.chunk);
}

}  // namespace carat
