// Session: one sequence of tokens being run through a model, with its key/value cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/view.h"
#include "decoder/drafter.h"
#include "engine/compute_context.h"
#include "engine/media_span.h"
#include "model/model.h"
#include "nn/trace.h"

namespace carat {

struct SessionOptions {
  std::size_t context = 0;      // most tokens the sequence may reach; 0: the model's, at most 4096
  DType kv_type = DType::kF16;  // kF32, kF16, kBF16 or kQ8_0
  // Most tokens that go through the model at once; a picture that has more, in a model whose pictures are seen whole,
  // goes through whole all the same.
  std::size_t chunk = 512;
};

class Session {
 public:
  // Throws Error(kOutOfMemory), saying how much is needed and free, before anything large is allocated;
  // Error(kBadInput) for options out of range or an unknown isa.
  Session(std::shared_ptr<const Model> model, const ComputeOptions& compute, const SessionOptions& options);
  ~Session();

  const Model& model() const;
  const std::shared_ptr<const Model>& shared_model() const;
  std::size_t context() const;                      // most tokens
  std::size_t chunk() const;                        // most tokens that go through the model at once
  std::size_t position() const;                     // tokens held
  const std::vector<std::int32_t>& tokens() const;  // those tokens; placeholders where media are
  const Compute& compute() const;                   // what the model computes with
  const Compute& media_compute() const;             // to encode media with, between calls
  std::size_t threads() const;
  std::string_view isa() const;

  // Appends tokens and returns the logits after the last one, [vocab], valid until the next call. tokens is not
  // empty. Throws Error(kBadInput) when an id is outside the vocabulary or the context would overflow (nothing is
  // appended then). is_cancelled, if given, is asked between chunks; Error(kCancelled) leaves the chunks done so far.
  std::span<const float> append(std::span<const std::int32_t> tokens, const std::function<bool()>& is_cancelled = {}) {
    return append(tokens, {}, is_cancelled);
  }
  // The same with media: spans are of `tokens`, in order, apart from each other.
  std::span<const float> append(std::span<const std::int32_t> tokens, std::span<const MediaSpan> media,
                                const std::function<bool()>& is_cancelled = {});

  // The same, handing out the logits of every token: on_logits(first, logits [rows, vocab]) chunk by chunk, first
  // being the index into tokens of the first row.
  void append_all_logits(std::span<const std::int32_t> tokens,
                         const std::function<void(std::size_t first, MatView<const float> logits)>& on_logits) {
    append_all_logits(tokens, {}, on_logits);
  }
  void append_all_logits(std::span<const std::int32_t> tokens, std::span<const MediaSpan> media,
                         const std::function<void(std::size_t first, MatView<const float> logits)>& on_logits);

  // How many of these tokens, from the first on, are held already, the same media among them (the same SoftTokens
  // object: media.h keeps one for each content). A medium that is held in part counts as not held.
  std::size_t held_prefix(std::span<const std::int32_t> tokens, std::span<const MediaSpan> media) const;

  // Final-normed hidden states [rows, hidden] of the last rows whose logits were handed out (one after append),
  // valid until the next call.
  MatView<const float> last_hidden() const;

  // The `count` tokens that the drafter thinks likeliest after `token`, which would be the next one appended; hidden,
  // [hidden], is the state (last_hidden) of the token before it. The drafter must be one of an assistant loaded for
  // this session's model. position() is at least 1.
  std::vector<std::int32_t> propose(Drafter& drafter, std::int32_t token, std::span<const float> hidden,
                                    std::size_t count);

  // Forgets all tokens from position `length` on; length <= position(). Cheap: what the window has lost is recomputed
  // by append when it is needed.
  void rewind(std::size_t length);

  // Named intermediates go to `trace` until it is set to null. For debugging and golden tests.
  void set_trace(Trace* trace);
  // Where the time goes is added to `profile` until it is set to null.
  void set_profile(Profile* profile);

  // Bytes of key/value cache and of activation buffers at the full context, as the allocator counts them.
  struct Memory {
    std::size_t kv_bytes = 0;
    std::size_t scratch_bytes = 0;
  };
  Memory memory() const;
  static Memory memory_needed(const DecoderConfig& config, const SessionOptions& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace carat
