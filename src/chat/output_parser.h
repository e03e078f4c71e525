// OutputParser: what a model generates -> thoughts, answer and tool calls, while it is being generated.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "chat/call_syntax.h"

namespace carat {

// The control tokens of Gemma's protocol that structure an answer.
enum class ControlToken {
  kChannelOpen,        // <|channel>
  kChannelClose,       // <channel|>
  kToolCallOpen,       // <|tool_call>
  kToolCallClose,      // <tool_call|>
  kToolResponseOpen,   // <|tool_response>
  kToolResponseClose,  // <tool_response|>
  kTurnOpen,           // <|turn>, Gemma 3: <start_of_turn>
  kTurnClose,          // <turn|>, Gemma 3: <end_of_turn>
  kQuote,              // <|"|>
  kEndOfSequence,      // <eos>
};
// The kind of a token by its text in the vocabulary; nothing for all others.
std::optional<ControlToken> control_token(std::string_view text);
std::string_view text_of(ControlToken token);  // Gemma 4's

// An answer, or what a step added to one.
struct ParsedOutput {
  std::string reasoning;  // white space around it removed; empty when there is none
  std::string content;    // likewise
  std::vector<ToolCall> tool_calls;
  // What fits nowhere, as the model wrote it, control tokens spelled out: calls that are none, stray control tokens,
  // text behind the end of the turn. Never dropped: whoever shows an answer should show this, too.
  std::string unparsed;
};

// Total: whatever the model generates, each byte of text ends up in one of the four, except white space around
// reasoning and content and the name of the thought channel. The sum of what is taken does not depend on how the text
// was cut into pieces or on when it was taken.
//
//   OutputParser parser(end_of_prompt);
//   parser.push("Let me "); parser.push("look. "); parser.push(ControlToken::kToolCallOpen); ...
//   ParsedOutput news = parser.take();   // after any push: what became certain since
//   parser.finish(); news = parser.take();
class OutputParser {
 public:
  // prompt_end: the text at the end of the prompt, control tokens spelled out. If it opens a thought channel and does
  // not close it, the output begins inside the thought; otherwise with the answer, unless the model opens a channel.
  explicit OutputParser(std::string_view prompt_end = {});

  void push(std::string_view text);
  void push(ControlToken token);
  // The output has ended, for whatever reason. Nothing may be pushed after it.
  void finish();

  ParsedOutput take();

  bool is_in_reasoning() const { return state_ == State::kChannelName || state_ == State::kReasoning; }

 private:
  enum class State { kContent, kChannelName, kReasoning, kCall, kEnded };

  // Text without the white space around it, passed on as soon as it is known not to be at the end.
  class Trimmed {
   public:
    void append(std::string_view text, std::string& out);
    void finish(std::string& out);

   private:
    std::string pending_;  // white space, or the begin of a character
    bool has_begun_ = false;
  };

  void read_channel_name(std::string_view text);
  void leave_channel_name();
  void close_call(bool has_end_token);

  State state_ = State::kContent;
  State state_around_call_ = State::kContent;
  std::string channel_name_;  // what has come of it
  CallText call_;
  Trimmed reasoning_, content_;
  ParsedOutput news_;
};

// Parses a whole output with control tokens spelled out.
ParsedOutput parse_output(std::string_view prompt_end, std::string_view output);

// {"reasoning", "content", "tool_calls": [{"name", "arguments"}], "unparsed"}; empty texts are null.
json::object to_json(const ParsedOutput& output);

}  // namespace carat
