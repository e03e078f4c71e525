// Prompt building: what a request asks -> the token ids that the model continues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_template.h"
#include "engine/media_serials.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/step_runner.h"
#include "text/tokenizer.h"

namespace carat {

struct PromptMedium {
  MediaSpan span;
  bool is_whole = false;  // its tokens see each other: they go through the model together
};

struct BuiltPrompt {
  std::string text;                  // as rendered; empty for a TokenPrompt
  std::vector<std::int32_t> ids;     // not empty
  std::vector<TokenKey> keys;        // one for each id
  std::vector<PromptMedium> media;   // in the order of their places
  std::vector<std::size_t> borders;  // where a turn begins, and the end: ascending
  // A conversation's: the answer has thoughts and calls in it. It begins inside of a thought that the prompt opened
  // where `open_thought` is not empty: the opening token and what follows it.
  bool is_conversation = false;
  std::string open_thought;
};

// Threads may share it.
class PromptBuilder {
 public:
  // runner must outlive this; its tokenizer and its encoders are used. most_rows: of a step. Throws Error(kBadFile) for
  // a template that can't be read.
  PromptBuilder(StepRunner& runner, std::size_t most_rows);

  // Throws Error(kBadInput): no messages, a template's refusal, an id outside of the vocabulary, a conversation without
  // a template, a damaged picture or sound. Error(kUnsupported) for media that the model can't take.
  BuiltPrompt build(const Request& request);

 private:
  void build_conversation(const Conversation& conversation, BuiltPrompt& prompt);
  void build_text(const TextPrompt& text, BuiltPrompt& prompt);
  void build_tokens(const TokenPrompt& tokens, BuiltPrompt& prompt) const;
  // Puts the media in the places that the prompt has for them.
  void add_media(const std::vector<const MediaPart*>& media, BuiltPrompt& prompt);
  std::string open_thought(const std::vector<std::int32_t>& ids) const;

  StepRunner& runner_;
  const Tokenizer& tokenizer_;
  const std::size_t most_rows_;
  MediaSerials serials_;
  std::unique_ptr<const ChatTemplate> template_;  // null for a base model
  std::vector<bool> opens_turn_;                  // by token id
};

// The messages and tools as templates expect them (OpenAI's form; a part {"type": "image"} for each picture).
json::array messages_for_template(const std::vector<Message>& messages);
json::value tools_for_template(const Conversation& conversation);

}  // namespace carat
