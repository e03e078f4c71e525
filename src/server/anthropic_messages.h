// /v1/messages: Anthropic's conversations. JSON <-> Call.
#pragma once

#include "server/answer_format.h"
#include "server/dialect.h"

namespace carat {

// body fits MessagesRequest, or CountTokensRequest, of the document. Throws ApiError.
Call parse_anthropic_messages(const json::object& body, const FetchMedia& fetch = {});

}  // namespace carat
