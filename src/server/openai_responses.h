// /v1/responses: OpenAI's second interface, without storage. JSON <-> Call.
#pragma once

#include "server/answer_format.h"
#include "server/dialect.h"

namespace carat {

// body fits ResponsesRequest of the document. is_lenient: what would need stored state is passed over instead of being
// refused. Throws ApiError.
Call parse_openai_responses(const json::object& body, bool is_lenient, const FetchMedia& fetch = {});

}  // namespace carat
