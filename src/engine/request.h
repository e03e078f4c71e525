// Request: what an answerer is asked, whichever dialect it came in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "nn/soft_tokens.h"
#include "sampling/sampling_params.h"

namespace carat {

// ---- The conversation
// ------------------------------------------------------------------------------------------------

// A picture, a sound or a film, as the file it came in (PNG, JPEG, WAV, FLAC, ...): not decoded yet.
struct MediaPart {
  MediaKind kind = MediaKind::kImage;
  std::string bytes;
  // Of a picture: how many soft tokens it may take; absent: as few as keep its own resolution. Dialects map `detail`.
  std::optional<std::size_t> max_soft_tokens;
};

struct TextPart {
  std::string text;
};

using ContentPart = std::variant<TextPart, MediaPart>;

enum class Role { kSystem, kUser, kAssistant, kTool };

// A call the model made in an earlier turn.
struct PastToolCall {
  std::string id;  // what the tool's answer refers to; may be empty
  std::string name;
  json::object arguments;
};

struct Message {
  Role role = Role::kUser;
  std::vector<ContentPart> content;      // text and media in the order in which they were written; may be empty
  std::string reasoning;                 // of the assistant: its thoughts, as clients send them back
  std::vector<PastToolCall> tool_calls;  // of the assistant
  std::string tool_call_id;              // of a tool: which call this answers
  std::string tool_name;                 // of a tool; found by tool_call_id where it is empty
};

struct Tool {
  std::string name;
  json::object function;   // {"name", "description"?, "parameters"?: JSON schema, ...}: what the template is given
  bool is_strict = false;  // arguments must fit the schema
};

enum class ToolMode { kAuto, kNone, kRequired };

struct ToolChoice {
  ToolMode mode = ToolMode::kAuto;
  std::vector<std::string> allowed;  // names the model may call; empty: all. A named tool is kRequired with one name.
  bool allows_parallel = true;       // several calls in one answer
};

// Thinking before the answer. Where nothing is said, the template's own default holds.
struct Thinking {
  std::optional<bool> is_enabled;
  // Tokens after which the thought is closed and the answer begins; 0 closes it at once. Absent: half of
  // Limits::max_tokens where that is given (so that an answer always has room), otherwise no bound.
  std::optional<std::size_t> budget;
};

// "none", "minimal", "low", "medium", "high", "xhigh", "max": on or off, and a budget in tokens. nullopt: no such word.
std::optional<Thinking> thinking_of_effort(std::string_view effort);

struct Conversation {
  std::vector<Message> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  Thinking thinking;
  json::object template_options;  // further variables of the template (chat_template_kwargs); untrusted
};

// Text to be continued, without a template.
struct TextPrompt {
  std::string text;
  bool parses_special = false;   // text such as <|turn> means the token
  std::vector<MediaPart> media;  // for the placeholders in it, in order
};

// Token ids to be continued, taken as they are.
struct TokenPrompt {
  std::vector<std::int32_t> ids;
};

using Prompt = std::variant<Conversation, TextPrompt, TokenPrompt>;

// ---- How to answer
// ---------------------------------------------------------------------------------------------------

enum class FormatKind { kText, kJsonObject, kJsonSchema, kRegex, kGbnf, kChoice };

// What the answer must look like. Holds for the answer itself, not for thoughts before it.
struct OutputFormat {
  FormatKind kind = FormatKind::kText;
  json::value schema;                // kJsonSchema
  bool is_strict = true;             // kJsonSchema: a keyword that isn't understood is refused, otherwise passed over
  std::string text;                  // kRegex, kGbnf
  std::vector<std::string> choices;  // kChoice
};

struct Limits {
  std::size_t max_tokens = 0;        // thoughts included; 0: until the context is full
  std::size_t min_tokens = 0;        // what ends an answer is banned before
  std::vector<std::string> stop;     // texts that end the answer and are not part of it; not looked for in thoughts
  bool ignores_end = false;          // tokens that end an answer are banned
  bool guards_against_loops = true;  // a thought that repeats itself is closed, an answer ended (FinishReason::kLoop)
};

struct Request {
  std::string model;  // by name; empty: the default
  Prompt prompt;
  SamplingParams sampling;
  Limits limits;
  OutputFormat format;
  std::size_t choices = 1;  // `n`: answers to the one prompt, 1 to 8. Choice i draws with seed + i
  // Log probabilities of generated tokens and of so many of the likeliest beside them, 0 to 20; absent: none.
  std::optional<std::size_t> logprobs;
  // The same for the tokens of the prompt (`echo` with `logprobs`). The prompt is then computed as a whole.
  std::optional<std::size_t> prompt_logprobs;
  // The answer is no text, but one vector for the prompt (Embedding in stream.h). One choice, computed as a whole.
  bool wants_embedding = false;

  std::string user;        // whose request it is: the engine is fair between users, not between requests
  std::string cache_salt;  // prompts share computed prefixes only with prompts of equal salt
  bool uses_prefix_cache = true;
};

}  // namespace carat
