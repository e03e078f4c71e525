// A Jinja template as tokens: text between tags as it is printed, and the names, literals and operators within tags.
// White space around tags is already settled: trim_blocks and lstrip_blocks are on, "-" and "+" are heeded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace carat::jinja {

struct Token {
  enum class Kind {
    kData,        // text to print
    kPrintBegin,  // {{
    kPrintEnd,    // }}
    kBlockBegin,  // {%
    kBlockEnd,    // %}
    kName,        // also keywords
    kString,      // text: the value, escapes resolved
    kInteger,     // text: digits with their prefix 0x, 0o, 0b; no underscores
    kFloat,       // text: no underscores
    kOperator,
    kEnd,
  };
  Kind kind;
  std::string text;
  std::uint32_t line;

  bool is(Kind k) const { return kind == k; }
  bool is_operator(std::string_view symbol) const { return kind == Kind::kOperator && text == symbol; }
  bool is_name(std::string_view name) const { return kind == Kind::kName && text == name; }
};

// Ends with one kEnd. Throws Error(kBadFile) that names line and reason. source: valid UTF-8.
std::vector<Token> tokenize(std::string_view source);

// Throws Error(kBadFile): "chat template, line 3: reason."
[[noreturn]] void fail_syntax(std::uint32_t line, std::string_view reason);

}  // namespace carat::jinja
