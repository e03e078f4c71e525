// The inside of a tool call as Gemma 4 writes it: call:name{key:<|"|>text<|"|>,other:[1,{a:true}]}
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace carat {

struct ToolCall {
  std::string name;
  json::object arguments;
};

// What stands between <|tool_call> and <tool_call|>: text and the quote token <|"|>, which is not text: the same
// characters spelled out inside a string are part of the string.
class CallText {
 public:
  void append(std::string_view text);
  void append_quote();
  // As the model wrote it, quote tokens spelled out.
  std::string spelled_out() const;

  struct Piece {
    bool is_quote;
    std::string text;
  };
  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  std::vector<Piece> pieces_;
};

// Reads a call. Beyond the official form it takes what models are known to write: strings and keys in plain double
// quotes (with JSON's escapes; a quote that no comma or bracket follows is part of the string), bare words as strings,
// white space, a comma before a closing bracket, and a name without "call:" before it. Nothing when it is no call: a
// bracket is not closed, more text follows, a key has two values, it nests more than 64 deep, or it is not UTF-8.
std::optional<ToolCall> parse_call(const CallText& text);

}  // namespace carat
