#include "engine/prompt.h"

#include <algorithm>

#include "base/error.h"
#include "chat/output_parser.h"
#include "engine/encode_segments.h"

namespace carat {
namespace {

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
    case Role::kTool:
      return "tool";
  }
  return "";
}

// One text where that is all there is (templates want it so in system turns), otherwise parts.
json::value content_for_template(const Message& message) {
  const auto is_text = [](const ContentPart& part) { return std::holds_alternative<TextPart>(part); };
  const bool is_all_text = std::ranges::all_of(message.content, is_text);
  if (is_all_text && (message.content.size() < 2 || message.role != Role::kUser)) {
    std::string text;
    for (const ContentPart& part : message.content) {
      if (!text.empty()) text += '\n';
      text += std::get<TextPart>(part).text;
    }
    return json::value(text);
  }
  json::array parts;
  for (const ContentPart& part : message.content) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      parts.push_back(json::object{{"type", "text"}, {"text", text->text}});
    } else {
      parts.push_back(json::object{{"type", carat::name(std::get<MediaPart>(part).kind)}});
    }
  }
  return parts;
}

// In the order in which templates give them a place.
std::vector<const MediaPart*> media_of(const Conversation& conversation) {
  std::vector<const MediaPart*> media;
  for (const Message& message : conversation.messages) {
    for (const ContentPart& part : message.content) {
      if (const auto* medium = std::get_if<MediaPart>(&part)) media.push_back(medium);
    }
  }
  return media;
}

}  // namespace

json::array messages_for_template(const std::vector<Message>& messages) {
  json::array result;
  for (const Message& message : messages) {
    json::object object{{"role", role_name(message.role)}, {"content", content_for_template(message)}};
    if (!message.reasoning.empty()) object["reasoning_content"] = message.reasoning;
    if (!message.tool_calls.empty()) {
      json::array calls;
      for (const PastToolCall& call : message.tool_calls) {
        calls.push_back({{"id", call.id},
                         {"type", "function"},
                         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
      }
      object["tool_calls"] = std::move(calls);
    }
    if (message.role == Role::kTool) {
      object["tool_call_id"] = message.tool_call_id;
      if (!message.tool_name.empty()) object["name"] = message.tool_name;
    }
    result.push_back(std::move(object));
  }
  return result;
}

json::value tools_for_template(const Conversation& conversation) {
  if (conversation.tools.empty() || conversation.tool_choice.mode == ToolMode::kNone) return nullptr;
  json::array tools;
  for (const Tool& tool : conversation.tools) {
    json::object function = tool.function;
    function["name"] = tool.name;
    tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return tools;
}

PromptBuilder::PromptBuilder(StepRunner& runner, std::size_t most_rows)
    : runner_(runner),
      tokenizer_(runner.tokenizer()),
      most_rows_(most_rows),
      template_(runner.info().has_template ? std::make_unique<const ChatTemplate>(runner.info().chat_template)
                                           : nullptr),
      opens_turn_(tokenizer_.vocab().size()) {
  for (const std::string_view name : {"<|turn>", "<start_of_turn>"}) {
    if (const auto id = tokenizer_.vocab().find(name)) opens_turn_[static_cast<std::size_t>(*id)] = true;
  }
}

BuiltPrompt PromptBuilder::build(const Request& request) {
  BuiltPrompt prompt;
  if (const auto* conversation = std::get_if<Conversation>(&request.prompt)) {
    build_conversation(*conversation, prompt);
  } else if (const auto* text = std::get_if<TextPrompt>(&request.prompt)) {
    build_text(*text, prompt);
  } else {
    build_tokens(std::get<TokenPrompt>(request.prompt), prompt);
  }
  for (std::size_t i = 0; i < prompt.ids.size(); ++i) {
    const auto id = static_cast<std::size_t>(prompt.ids[i]);
    prompt.keys.push_back(id);
    if (opens_turn_[id] && i > 0) prompt.borders.push_back(i);
  }
  prompt.borders.push_back(prompt.ids.size());
  for (const PromptMedium& medium : prompt.media) {
    const MediaSpan& span = medium.span;
    for (std::size_t i = span.first; i < span.end(); ++i) prompt.keys[i] = serials_.key(span.soft, i - span.first);
  }
  return prompt;
}

void PromptBuilder::build_conversation(const Conversation& conversation, BuiltPrompt& prompt) {
  if (template_ == nullptr) {
    throw Error(ErrorKind::kBadInput,
                "this model has no chat template: it continues texts, it doesn't hold conversations. Ask it for a "
                "completion.");
  }
  if (conversation.messages.empty()) throw Error(ErrorKind::kBadInput, "a conversation without messages.");
  RenderOptions options;
  options.enable_thinking = conversation.thinking.is_enabled;
  options.extra = conversation.template_options;
  const Vocab& vocab = tokenizer_.vocab();
  if (vocab.bos()) options.bos_token = vocab.piece(*vocab.bos());
  if (vocab.eos()) options.eos_token = vocab.piece(*vocab.eos());
  const MarkedText text =
      template_->render(messages_for_template(conversation.messages), tools_for_template(conversation), options);
  prompt.ids = encode_segments(tokenizer_, text);
  if (prompt.ids.empty()) throw Error(ErrorKind::kBadInput, "the chat template makes an empty prompt of this.");
  add_media(media_of(conversation), prompt);
  prompt.text = text.bytes();
  prompt.is_conversation = true;
  prompt.open_thought = open_thought(prompt.ids);
}

void PromptBuilder::build_text(const TextPrompt& text, BuiltPrompt& prompt) {
  const Vocab& vocab = tokenizer_.vocab();
  prompt.text = text.text;
  prompt.ids = tokenizer_.encode(text.text, {.add_bos = true, .parse_special = text.parses_special});
  // A raw prompt may have written the token that begins a text itself.
  std::vector<std::int32_t>& ids = prompt.ids;
  if (ids.size() > 1 && vocab.bos() == ids[0] && ids[1] == ids[0]) ids.erase(ids.begin());
  if (ids.empty()) throw Error(ErrorKind::kBadInput, "an empty prompt, and the vocabulary has no token to begin with.");
  std::vector<const MediaPart*> media;
  for (const MediaPart& part : text.media) media.push_back(&part);
  add_media(media, prompt);
}

void PromptBuilder::add_media(const std::vector<const MediaPart*>& media, BuiltPrompt& prompt) {
  if (media.empty()) return;
  std::vector<SharedSoftTokens> soft;
  for (const MediaPart* part : media) {
    const std::string where = str(carat::name(part->kind), " ", soft.size() + 1);
    soft.push_back(runner_.encode(*part, where));
    const bool is_whole =
        runner_.config().image_attention != ImageAttention::kCausal && part->kind != MediaKind::kAudio;
    if (is_whole && soft.back()->count() > most_rows_) {
      throw Error(ErrorKind::kBadInput, str(where, " takes ", soft.back()->count(), " tokens, the most is ", most_rows_,
                                            ". Give it a smaller budget."));
    }
  }
  MediaPrompt placed = expand_placeholders(prompt.ids, runner_.media_tokens(), soft);
  prompt.ids = std::move(placed.ids);
  for (MediaSpan& span : placed.media) {
    const bool is_whole =
        runner_.config().image_attention != ImageAttention::kCausal && span.soft->kind() != MediaKind::kAudio;
    prompt.media.push_back({std::move(span), is_whole});
  }
}

void PromptBuilder::build_tokens(const TokenPrompt& tokens, BuiltPrompt& prompt) const {
  const Vocab& vocab = tokenizer_.vocab();
  prompt.ids = tokens.ids;
  if (prompt.ids.empty() && vocab.bos()) prompt.ids.push_back(*vocab.bos());
  if (prompt.ids.empty()) {
    throw Error(ErrorKind::kBadInput, "an empty prompt, and the vocabulary has no token to begin with.");
  }
  for (const std::int32_t id : prompt.ids) {
    if (vocab.contains(id)) continue;
    throw Error(ErrorKind::kBadInput, str("token id ", id, " is outside the vocabulary of ", vocab.size(), "."));
  }
}

// By tokens, not by text: what a person wrote as "<|channel>" opens nothing.
std::string PromptBuilder::open_thought(const std::vector<std::int32_t>& ids) const {
  const Vocab& vocab = tokenizer_.vocab();
  for (std::size_t i = ids.size(); i-- > 0;) {
    const std::optional<ControlToken> control = control_token(vocab.piece(ids[i]));
    if (!control) continue;
    if (*control == ControlToken::kChannelOpen) return tokenizer_.decode(std::span(ids).subspan(i));
    if (*control == ControlToken::kChannelClose || *control == ControlToken::kTurnOpen) break;
  }
  return {};
}

}  // namespace carat
