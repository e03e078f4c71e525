// The OpenAPI 3.1 document, put together from server/api/*.json: the table of all routes and of what they take.
#pragma once

#include <string_view>

#include "base/json.h"

namespace carat {

// The document as it is served, every operation with the errors that its interface knows. Immutable; made once.
const json::value& api_document();

// The schema of the JSON body of an operation, null where it takes none. path as in the document, "/v1/models/{model}".
const json::value* body_schema(std::string_view method, std::string_view path);

// A body as JSON that fits the schema, without what the schema passes over (drop_unchecked). Throws ApiError
// (server/api_error.h).
json::object parse_body(std::string_view body, const json::value& schema);

}  // namespace carat
