// The head of a request as bytes, held against HTTP/1.1's grammar more strictly than parsers do: whatever two
// programs could read differently (request smuggling) is refused.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace carat {

struct HeadLimits {
  std::size_t max_bytes = 16384;
  std::size_t max_lines = 100;
  std::size_t max_target_bytes = 8192;
};

struct HeadProblem {
  int status = 400;
  std::string message = {};
};

// head: from the request line up to and including the empty line. What is wrong with it, if anything: size (431, 414),
// lines that are not ended by CR LF, control characters, folded lines, a name that is none, white space before a colon,
// more than one Host, Content-Length or Transfer-Encoding, both of the latter, a length that is no plain number, a
// coding other than chunked, a target that is no path, no Host in HTTP/1.1. RFC 9112, sections 2.2, 3, 5, 6.
std::optional<HeadProblem> check_head(std::string_view head, const HeadLimits& limits = {});

}  // namespace carat
