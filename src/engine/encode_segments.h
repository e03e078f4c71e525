// From a rendered prompt to token ids, so that nothing a person wrote becomes a control token.
#pragma once

#include <cstdint>
#include <vector>

#include "chat/marked_text.h"
#include "text/tokenizer.h"

namespace carat {

// The names of tokens, such as <|turn>, are taken for these tokens where the template wrote them, and are text like any
// other where a request brought them. Text between two such tokens is encoded in one go, whoever wrote its parts:
// merges run across. So the ids are those of tokenizer.encode(prompt.bytes()) wherever a request holds no token's name.
std::vector<std::int32_t> encode_segments(const Tokenizer& tokenizer, const MarkedText& prompt);

}  // namespace carat
