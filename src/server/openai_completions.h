// /v1/completions: texts or token ids to be continued. JSON <-> Call.
#pragma once

#include "server/answer_format.h"
#include "text/tokenizer.h"

namespace carat {

// body fits CompletionRequest of the document. tokenizer: spells out a prompt of ids for `echo`; it must outlive the
// call. Throws ApiError.
Call parse_openai_completion(const json::object& body, const Tokenizer& tokenizer);

}  // namespace carat
