// From a schema to rules of EBNF, in the notation of JSON or in that of Gemma's tool calls.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "grammar/schema.h"

namespace carat {

// How values are written.
//   JSON:   {"city": "Rome", "days": [1, 2]}     one space or line break with indentation where JSON allows any
//   Gemma:  {city:<|"|>Rome<|"|>,days:[1,2]}      no white space; strings between two tokens, in which nothing is
//   escaped
struct Notation {
  std::optional<std::int32_t> quote;  // the token <|"|> in Gemma's notation; none: JSON

  bool is_json() const { return !quote; }
};

// Rules that schema_rules() refers to, once for each notation.
std::string base_rules(const Notation& notation);

// Any JSON object, by the base rules.
std::string any_object_rule(const Notation& notation);

// Rules for a schema; the first is called `name`, the names of the others begin with it and a dash. Throws
// Error(kBadInput) when the schema allows no value, and for a pattern as whole_text_pattern(). `where` begins messages.
std::string schema_rules(const Schema& schema, const Notation& notation, const std::string& name,
                         const std::string& where);

// A character of text, as a class of EBNF, without what stands for control tokens. Ranges stop where UTF-8 needs a byte
// more, and leave out the surrogates, so that no bytes get through that are no characters.
inline constexpr const char* kAnyCharacters =
    R"([\x01-\x7f\u0080-\u07ff\u0800-\ud7ff\ue000-\uffff\U00010000-\U0010ffff])";

// A string literal of EBNF that stands for these bytes, which are UTF-8.
std::string ebnf_literal(std::string_view text);

}  // namespace carat
