#include "chat/output_parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/unicode.h"
#include "chat/python_text.h"

namespace carat {
namespace {

struct TokenRow {
  std::string_view text;
  ControlToken token;
};
constexpr std::array<TokenRow, 12> kTokens{{
    {"<|channel>", ControlToken::kChannelOpen},
    {"<channel|>", ControlToken::kChannelClose},
    {"<|tool_call>", ControlToken::kToolCallOpen},
    {"<tool_call|>", ControlToken::kToolCallClose},
    {"<|tool_response>", ControlToken::kToolResponseOpen},
    {"<tool_response|>", ControlToken::kToolResponseClose},
    {"<|turn>", ControlToken::kTurnOpen},
    {"<turn|>", ControlToken::kTurnClose},
    {"<|\"|>", ControlToken::kQuote},
    {"<eos>", ControlToken::kEndOfSequence},
    {"<start_of_turn>", ControlToken::kTurnOpen},
    {"<end_of_turn>", ControlToken::kTurnClose},
}};

constexpr std::string_view kThought = "thought";  // the channel's name; a newline follows it

// The row of the token that text begins with, or null.
const TokenRow* token_at(std::string_view text) {
  const auto* row =
      std::find_if(kTokens.begin(), kTokens.end(), [text](const TokenRow& r) { return text.starts_with(r.text); });
  return row == kTokens.end() ? nullptr : row;
}

// How many bytes at the end of text are the begin of a character whose rest may follow.
std::size_t unfinished_tail(std::string_view text) {
  for (std::size_t n = 1; n <= 3 && n <= text.size(); ++n) {
    if (is_utf8_prefix(text.substr(text.size() - n))) return n;
  }
  return 0;
}

// Calls on_text and on_token for the parts of a text with tokens spelled out.
template <typename OnText, typename OnToken>
void split_at_tokens(std::string_view text, const OnText& on_text, const OnToken& on_token) {
  std::size_t begin = 0;
  for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at)) {
    const TokenRow* row = token_at(text.substr(at));
    if (row == nullptr) {
      ++at;
      continue;
    }
    on_text(text.substr(begin, at - begin));
    at += row->text.size();
    begin = at;
    on_token(row->token);
  }
  on_text(text.substr(begin));
}

}  // namespace

std::optional<ControlToken> control_token(std::string_view text) {
  const TokenRow* row = token_at(text);
  if (row == nullptr || row->text != text) return std::nullopt;
  return row->token;
}

std::string_view text_of(ControlToken token) {
  return std::find_if(kTokens.begin(), kTokens.end(), [token](const TokenRow& r) { return r.token == token; })->text;
}

void OutputParser::Trimmed::append(std::string_view text, std::string& out) {
  pending_ += text;
  const std::size_t whole = pending_.size() - unfinished_tail(pending_);
  const std::string_view known = std::string_view(pending_).substr(0, whole);
  const TextRange range = strip_range(known, Side::kBoth);
  if (range.begin == range.end) {
    if (!has_begun_) pending_.erase(0, whole);
    return;
  }
  const std::size_t begin = has_begun_ ? 0 : range.begin;
  out += known.substr(begin, range.end - begin);
  pending_.erase(0, range.end);
  has_begun_ = true;
}

void OutputParser::Trimmed::finish(std::string& out) {
  // A character that never became whole is kept as it is, and with it the white space before it.
  if (unfinished_tail(pending_) > 0) out += pending_;
  pending_.clear();
}

OutputParser::OutputParser(std::string_view prompt_end) {
  std::string_view open_channel;
  bool is_open = false;
  split_at_tokens(
      prompt_end, [&](std::string_view text) { open_channel = text; },
      [&](ControlToken token) { is_open = token == ControlToken::kChannelOpen; });
  if (!is_open) return;
  push(ControlToken::kChannelOpen);
  push(open_channel);
  // What the prompt says of the thought is not output.
  reasoning_ = {};
  news_ = {};
}

void OutputParser::push(std::string_view text) {
  if (text.empty()) return;
  switch (state_) {
    case State::kContent:
      return content_.append(text, news_.content);
    case State::kChannelName:
      return read_channel_name(text);
    case State::kReasoning:
      return reasoning_.append(text, news_.reasoning);
    case State::kCall:
      return call_.append(text);
    case State::kEnded:
      news_.unparsed += text;
  }
}

// The channel is "thought\n". Any other text behind <|channel> is kept as a thought, for it was not meant as the
// answer.
void OutputParser::read_channel_name(std::string_view text) {
  while (!text.empty() && channel_name_.size() < kThought.size() && text[0] == kThought[channel_name_.size()]) {
    channel_name_ += text[0];
    text.remove_prefix(1);
  }
  if (text.empty()) return;
  if (channel_name_ == kThought && text[0] == '\n') channel_name_.clear();
  leave_channel_name();
  push(text);
}

void OutputParser::leave_channel_name() {
  state_ = State::kReasoning;
  if (!channel_name_.empty()) push(std::exchange(channel_name_, {}));
}

void OutputParser::push(ControlToken token) {
  if (state_ == State::kEnded) {
    news_.unparsed += text_of(token);
    return;
  }
  if (state_ == State::kCall) {
    if (token == ControlToken::kQuote) return call_.append_quote();
    close_call(token == ControlToken::kToolCallClose);
    if (token == ControlToken::kToolCallClose) return;
  }
  if (state_ == State::kChannelName) {
    if (channel_name_ == kThought) channel_name_.clear();  // a channel without any text
    leave_channel_name();
  }
  switch (token) {
    case ControlToken::kChannelOpen:
      if (state_ == State::kReasoning) news_.unparsed += text_of(token);  // channels don't nest
      state_ = State::kChannelName;
      return;
    case ControlToken::kChannelClose:
      if (state_ == State::kContent) news_.unparsed += text_of(token);
      state_ = State::kContent;
      return;
    case ControlToken::kToolCallOpen:
      state_around_call_ = state_;
      state_ = State::kCall;
      return;
    case ControlToken::kTurnClose:
    case ControlToken::kEndOfSequence:
    case ControlToken::kToolResponseOpen:
      state_ = State::kEnded;
      return;
    case ControlToken::kTurnOpen:
    case ControlToken::kToolResponseClose:
    case ControlToken::kToolCallClose:
    case ControlToken::kQuote:
      news_.unparsed += text_of(token);
  }
}

// A call may end without its token, when the model stops or goes on with another one; it counts if it is whole.
void OutputParser::close_call(bool has_end_token) {
  const CallText text = std::exchange(call_, {});
  state_ = state_around_call_;
  if (auto call = parse_call(text)) {
    news_.tool_calls.push_back(*std::move(call));
    return;
  }
  news_.unparsed += text_of(ControlToken::kToolCallOpen);
  news_.unparsed += text.spelled_out();
  if (has_end_token) news_.unparsed += text_of(ControlToken::kToolCallClose);
}

void OutputParser::finish() {
  if (state_ == State::kCall) close_call(false);
  if (state_ == State::kChannelName && channel_name_ != kThought) leave_channel_name();
  reasoning_.finish(news_.reasoning);
  content_.finish(news_.content);
  state_ = State::kEnded;
}

ParsedOutput OutputParser::take() {
  return std::exchange(news_, {});
}

ParsedOutput parse_output(std::string_view prompt_end, std::string_view output) {
  OutputParser parser(prompt_end);
  split_at_tokens(
      output, [&](std::string_view text) { parser.push(text); }, [&](ControlToken token) { parser.push(token); });
  parser.finish();
  return parser.take();
}

json::object to_json(const ParsedOutput& output) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? json::value() : json::value(text); };
  json::array calls;
  for (const ToolCall& call : output.tool_calls) {
    calls.push_back(json::object{{"name", call.name}, {"arguments", call.arguments}});
  }
  return {{"reasoning", text_or_null(output.reasoning)},
          {"content", text_or_null(output.content)},
          {"tool_calls", std::move(calls)},
          {"unparsed", text_or_null(output.unparsed)}};
}

}  // namespace carat
