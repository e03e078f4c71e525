// Prompts without a template: a string, token ids, or a list of either.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "engine/request.h"
#include "text/tokenizer.h"

namespace carat {

// At least one; null is an empty text. An empty text is the token that begins every prompt. param: the field's name.
// Throws ApiError naming it for an id that is no token.
std::vector<Prompt> prompts_of(const json::value* value, const Tokenizer& tokenizer, const std::string& param);

}  // namespace carat
