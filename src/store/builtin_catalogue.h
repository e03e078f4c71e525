// The text of catalogue.json, compiled in.
#pragma once

namespace carat {

extern const char* const kBuiltinCatalogue;

}  // namespace carat
