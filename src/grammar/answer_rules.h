// The whole grammar of an answer, as rules of EBNF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grammar/grammar_spec.h"
#include "text/vocab.h"

namespace carat {

// The tokens of Gemma's protocol that grammars speak of; absent where the vocabulary has none.
struct ProtocolTokens {
  explicit ProtocolTokens(const Vocab& vocab);

  std::optional<std::int32_t> channel_open, channel_close, call_open, call_close, quote;
  std::vector<std::int32_t> control;  // all that are not text, those that end an answer among them
};

constexpr const char* kRootRule = "carat-root";

// Throws as GrammarCompiler::compile. max_depth: how deep a schema may nest.
std::string answer_rules(const GrammarSpec& format, const ProtocolTokens& tokens, std::size_t max_depth);

}  // namespace carat
