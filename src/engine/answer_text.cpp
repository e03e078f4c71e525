#include "engine/answer_text.h"

#include <utility>

#include "engine/prompt.h"

namespace carat {

AnswerText::AnswerText(const Vocab& vocab, const BuiltPrompt& prompt, std::vector<std::string> stops)
    : vocab_(vocab),
      is_parsed_(prompt.is_conversation),
      detokenizer_(vocab, {.skip_special = true}),
      parser_(prompt.open_thought),
      stops_(std::move(stops)) {}

void AnswerText::push(std::int32_t token, std::vector<Event>& events) {
  if (!is_parsed_) {
    emit_content(stops_.push(detokenizer_.push(token)), events);
    return;
  }
  if (const std::optional<ControlToken> control = control_token(vocab_.piece(token))) {
    parser_.push(detokenizer_.flush());
    parser_.push(*control);
  } else {
    parser_.push(detokenizer_.push(token));
  }
  emit(parser_.take(), events);
}

void AnswerText::finish(std::vector<Event>& events) {
  if (is_parsed_) {
    parser_.push(detokenizer_.flush());
    parser_.finish();
    emit(parser_.take(), events);
  } else {
    emit_content(stops_.push(detokenizer_.flush()), events);
  }
  emit_content(stops_.flush(), events);
}

void AnswerText::emit_content(std::string text, std::vector<Event>& events) {
  if (!text.empty()) append_event(events, ContentText{std::move(text)});
}

void AnswerText::emit(ParsedOutput news, std::vector<Event>& events) {
  if (!news.reasoning.empty()) append_event(events, ReasoningText{std::move(news.reasoning)});
  emit_content(stops_.push(news.content), events);
  if (stops_.found()) return;
  for (ToolCall& call : news.tool_calls) {
    append_event(events, ToolCallBegin{calls_, std::move(call.name)});
    append_event(events, ToolCallArguments{calls_, json::serialize(call.arguments)});
    append_event(events, ToolCallEnd{calls_});
    ++calls_;
  }
  if (!news.unparsed.empty()) append_event(events, UnparsedText{std::move(news.unparsed)});
}

}  // namespace carat
