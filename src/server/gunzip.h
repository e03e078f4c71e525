// Bodies that come compressed by gzip.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace carat {

// Throws ApiError: 400 where it isn't gzip, 413 where more than max_bytes come out.
std::string gunzip(std::string_view bytes, std::size_t max_bytes);

}  // namespace carat
