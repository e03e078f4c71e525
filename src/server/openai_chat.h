// /v1/chat/completions: JSON <-> Call.
#pragma once

#include <string>

#include "server/answer_format.h"
#include "server/dialect.h"

namespace carat {

// body fits ChatRequest of the document. Throws ApiError.
Call parse_openai_chat(const json::object& body, const FetchMedia& fetch = {});

// {prompt_tokens, completion_tokens, total_tokens, ..._details}; completions share it.
json::object openai_usage(const Usage& usage);

// {queued_ms, prompt_ms, predicted_ms, prompt_per_second, predicted_per_second}: an extension.
json::object timings_json(const Usage& usage, const Timings& timings);

}  // namespace carat
