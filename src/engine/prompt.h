// Prompt building: what a request asks -> the token ids that the model continues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_template.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "text/tokenizer.h"

namespace carat {

struct BuiltPrompt {
  std::string text;                  // as rendered; empty for a TokenPrompt
  std::vector<std::int32_t> ids;     // not empty
  std::vector<TokenKey> keys;        // one for each id
  std::vector<std::size_t> borders;  // where a turn begins, and the end: ascending
  // A conversation's: the answer has thoughts and calls in it. It begins inside of a thought that the prompt opened
  // where `open_thought` is not empty: the opening token and what follows it.
  bool is_conversation = false;
  std::string open_thought;
};

// Immutable; threads may share it.
class PromptBuilder {
 public:
  // tokenizer must outlive this. template_text: empty for a base model. Throws Error(kBadFile) for a bad template.
  PromptBuilder(const Tokenizer& tokenizer, const std::string& template_text);

  // Throws Error(kBadInput): no messages, a template's refusal, an id outside of the vocabulary, a conversation without
  // a template. Error(kUnsupported) for media.
  BuiltPrompt build(const Request& request) const;

 private:
  void build_conversation(const Conversation& conversation, BuiltPrompt& prompt) const;
  void build_text(const TextPrompt& text, BuiltPrompt& prompt) const;
  void build_tokens(const TokenPrompt& tokens, BuiltPrompt& prompt) const;
  std::string open_thought(const std::vector<std::int32_t>& ids) const;

  const Tokenizer& tokenizer_;
  std::unique_ptr<const ChatTemplate> template_;  // null for a base model
  std::vector<bool> opens_turn_;                  // by token id
};

// The messages and tools as templates expect them (OpenAI's form; a part {"type": "image"} for each picture).
json::array messages_for_template(const std::vector<Message>& messages);
json::value tools_for_template(const Conversation& conversation);

}  // namespace carat
