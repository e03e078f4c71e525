// Regular expressions and grammars from outside, looked over before they are compiled: what isn't understood is refused
// by its name, and nothing gets in that nests or multiplies without bounds.
#pragma once

#include <string>
#include <string_view>

namespace carat {

// A regular expression of the whole text that finds what `pattern`, of ECMAScript, finds anywhere in a text: what isn't
// held by ^ and $ may have anything beside it. Throws Error(kUnsupported) for what looks around, refers back, or
// anchors inside; Error(kBadInput) for what is malformed or too large. `where` begins the message.
std::string whole_text_pattern(std::string_view pattern, std::string_view where);

// A regular expression that is of the whole text already; ^ before it and $ behind it are taken away. Throws as above.
std::string checked_pattern(std::string_view pattern, std::string_view where);

// Throws Error(kBadInput) for a grammar in GBNF that nests or multiplies too far or isn't UTF-8, Error(kUnsupported)
// where it speaks of tokens by number.
void check_grammar_text(std::string_view text);

}  // namespace carat
