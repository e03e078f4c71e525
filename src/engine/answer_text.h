// AnswerText: the tokens of an answer -> the events that its text gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/output_parser.h"
#include "engine/stop_matcher.h"
#include "engine/stream.h"
#include "text/detokenizer.h"

namespace carat {

struct BuiltPrompt;

// Text of a conversation is parsed into thoughts, answer and calls; a continued text is only text. Stop texts are
// looked for in the answer.
class AnswerText {
 public:
  // vocab must outlive this.
  AnswerText(const Vocab& vocab, const BuiltPrompt& prompt, std::vector<std::string> stops);

  // The next token, not the one that ends the answer. Appends what became certain to `events`.
  void push(std::int32_t token, std::vector<Event>& events);
  // The answer is over: what was held back comes out. Nothing may be pushed after it.
  void finish(std::vector<Event>& events);

  bool is_in_reasoning() const { return is_parsed_ && parser_.is_in_reasoning(); }
  std::size_t tool_calls() const { return calls_; }
  // The stop text that was found: the answer is over.
  const std::optional<std::string>& stop() const { return stops_.found(); }

 private:
  void emit(ParsedOutput news, std::vector<Event>& events);
  static void emit_content(std::string text, std::vector<Event>& events);

  const Vocab& vocab_;
  bool is_parsed_;
  Detokenizer detokenizer_;
  OutputParser parser_;
  StopMatcher stops_;
  std::size_t calls_ = 0;
};

}  // namespace carat
