// What a listener hears of an answer while it is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace carat {

struct ReasoningText {
  std::string text;
};

struct ContentText {
  std::string text;
};

// What the model wrote that is neither thought nor answer nor a call: a malformed call, a stray control token, spelled
// out. Show it to whoever reads the answer; it is never dropped.
struct UnparsedText {
  std::string text;
};

// A call comes as a begin, pieces of its arguments' JSON text, and an end; calls come one after the other.
struct ToolCallBegin {
  std::size_t call = 0;  // counted from 0 within the choice
  std::string name;
};
struct ToolCallArguments {
  std::size_t call = 0;
  std::string json;
};
struct ToolCallEnd {
  std::size_t call = 0;
};

struct TokenLogprob {
  std::int32_t token = 0;
  std::string bytes;  // what it stands for; may be half of a character
  float logprob = 0;  // natural logarithm, of the model's distribution before temperature and filters
  struct Alternative {
    std::int32_t token = 0;
    std::string bytes;
    float logprob = 0;
  };
  std::vector<Alternative> top;  // the likeliest, best first; as many as were asked for
  bool is_reasoning = false;     // the token belongs to a thought (or opens or closes one)
};

// Of tokens just generated. The text they gave comes before; some of it may be held back for a while (a stop text, half
// a character), so count tokens, not characters.
struct TokenLogprobs {
  std::vector<TokenLogprob> tokens;
};

// Of the prompt, once, before anything else of the choice: one entry a token; the first has logprob 0 and no
// alternatives, for nothing stands before it.
struct PromptLogprobs {
  std::vector<TokenLogprob> tokens;
};

// What the prompt means, as a vector of length 1: the mean of the decoder's last hidden states after its final norm,
// over all tokens but the one that begins every prompt. Texts that are alike have vectors alike. [hidden]
struct Embedding {
  std::vector<float> values;
};

// Why no more of the prompt was found in the cache.
enum class CacheMiss {
  kNone,           // all that could be was
  kOff,            // the request said so, or needs every token's logits
  kEmpty,          // nothing begins alike: first use, another salt, or long ago and evicted
  kDiverged,       // a cached prompt begins alike and goes on differently (edited history, other tools, another date)
  kWindowEvicted,  // the prefix is known, but the sliding window before its end was evicted under memory pressure
};
std::string_view name(CacheMiss miss);  // "none", "off", "empty", "diverged", "window-evicted"

struct Usage {
  std::size_t prompt_tokens = 0;
  std::size_t image_tokens = 0;   // of the prompt
  std::size_t audio_tokens = 0;   // of the prompt
  std::size_t cached_tokens = 0;  // of the prompt: not computed again
  CacheMiss cache_miss = CacheMiss::kNone;
  std::size_t completion_tokens = 0;  // of all choices, thoughts and the token that ended each included
  std::size_t reasoning_tokens = 0;   // of these, thoughts
  // What an assistant guessed while the answer was generated, and how much of it came true: so many tokens took no step
  // of their own.
  std::size_t guessed_tokens = 0;
  std::size_t accepted_guesses = 0;
};

struct Timings {
  double queued_seconds = 0;      // from submit until the first step
  double prefill_seconds = 0;     // from then until the first token
  double generation_seconds = 0;  // from then until the end
};

// The first event of every answer that is begun: it left the queue, and its prompt is being computed.
struct Started {
  Usage usage;  // of the prompt
};

enum class FinishReason {
  kStop,       // the model ended it, or a stop text did
  kLength,     // max_tokens, or the context is full
  kToolCalls,  // the model ended it, with calls to be answered
  kLoop,       // it repeated itself
  kCancelled,  // AnswerHandle::cancel()
  kError,
};
std::string_view name(FinishReason reason);  // "stop", "length", "tool_calls", "loop", "cancelled", "error"

// The last event of a choice.
struct Finished {
  FinishReason reason = FinishReason::kStop;
  std::string stop;              // the stop text that ended it, if one did
  bool was_thought_cut = false;  // the thinking budget or the loop guard closed the thought
  std::size_t completion_tokens = 0;
  std::size_t reasoning_tokens = 0;
  // kError only
  ErrorKind error_kind = ErrorKind::kInternal;
  std::string error;
};

// The last event of an answer: comes exactly once, after every choice has finished.
struct Done {
  Usage usage;
  Timings timings;
};

struct Event {
  std::size_t choice = 0;  // 0 in Started and Done
  std::variant<Started, ReasoningText, ContentText, UnparsedText, ToolCallBegin, ToolCallArguments, ToolCallEnd,
               TokenLogprobs, PromptLogprobs, Embedding, Finished, Done>
      body;
};

// Appends an event of choice 0.
template <typename Body>
void append_event(std::vector<Event>& events, Body body) {
  events.emplace_back().body.template emplace<Body>(std::move(body));
}

// Called on the engine's thread, one event after the other, never again after Done. Must be quick and must not throw:
// it hands the event to a queue of its own. May be destroyed on any thread.
using Listener = std::function<void(Event&&)>;

}  // namespace carat
