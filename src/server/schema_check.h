// Values held against JSON Schema: how requests are validated, by the very document that is served as /openapi.json.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"

namespace carat {

struct SchemaProblem {
  enum class Kind { kMissing, kType, kValue };
  Kind kind = Kind::kValue;
  std::string path;     // "messages[0].role"; empty for the whole
  std::string message;  // "must be an integer of at least 1"
};

// What is wrong with value, if anything. Understood of JSON Schema 2020-12: type, enum, minimum, maximum, minLength,
// maxLength (both in characters), minItems, maxItems, maxProperties, required, properties, items,
// additionalProperties (as a schema), anyOf, oneOf with a discriminator of strings, and $ref into root. The keyword
// pattern knows the one form ^[characters]{least,most}$. root: what "#/" in a $ref begins at.
std::optional<SchemaProblem> check_schema(const json::value& value, const json::value& schema, const json::value& root);

// Takes out of value what schema has let pass without a look: members of an object whose "properties" don't name them,
// also of those that stand under a property. Left as they are: arrays, and objects whose schema is chosen by their
// contents (anyOf, a discriminator) or names no properties.
void drop_unchecked(json::value& value, const json::value& schema, const json::value& root);

}  // namespace carat
