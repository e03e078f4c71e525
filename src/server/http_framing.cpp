#include "server/http_framing.h"

#include <algorithm>

#include "base/error.h"
#include "server/http_message.h"

namespace carat {
namespace {

bool is_token_character(char c) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

HeadProblem bad(std::string message) {
  return {400, std::move(message)};
}

std::optional<HeadProblem> check_request_line(std::string_view line, const HeadLimits& limits) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return bad("the request line is not METHOD TARGET VERSION.");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view http = line.substr(last + 1);
  if (!is_token(method) || method.size() > 32) return bad("the request's method is no HTTP method.");
  if (target.size() > limits.max_target_bytes) {
    return HeadProblem{
        414, str("the request's target has ", target.size(), " bytes, the limit is ", limits.max_target_bytes, ".")};
  }
  const bool is_server_wide = method == "OPTIONS" && target == "*";
  if (!is_server_wide && !target.starts_with('/')) return bad("the request's target is no path.");
  if (target.find_first_of(" \t\\#") != std::string_view::npos) {
    return bad("the request's target holds a character that must be percent-encoded.");
  }
  if (http != "HTTP/1.1" && http != "HTTP/1.0") return HeadProblem{505, "this server speaks HTTP/1.1."};
  return std::nullopt;
}

}  // namespace

std::optional<HeadProblem> check_head(std::string_view head, const HeadLimits& limits) {
  if (head.size() > limits.max_bytes) {
    return HeadProblem{431, str("the request's head has more than ", limits.max_bytes, " bytes.")};
  }
  std::size_t lines = 0;
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t codings = 0;
  bool is_old = false;  // HTTP/1.0
  while (!head.empty()) {
    const std::size_t end = head.find('\n');
    if (end == std::string_view::npos || end == 0 || head[end - 1] != '\r') {
      return bad("a line of the request's head does not end with CR LF.");
    }
    const std::string_view line = head.substr(0, end - 1);
    head.remove_prefix(end + 1);
    if (line.empty()) break;
    if (has_control_character(line)) return bad("the request's head holds a control character.");
    if (++lines > limits.max_lines + 1) {
      return HeadProblem{431, str("the request has more than ", limits.max_lines, " header fields.")};
    }
    if (lines == 1) {
      if (auto problem = check_request_line(line, limits)) return problem;
      is_old = line.ends_with("HTTP/1.0");
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t') return bad("a header field is folded over several lines.");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return bad("a header field has no proper name before its colon.");
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (equals_ignoring_case(name, "host")) ++hosts;
    if (equals_ignoring_case(name, "content-length")) {
      ++lengths;
      const bool is_number = !value.empty() && value.size() <= 18 &&
                             std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
      if (!is_number) return bad("Content-Length is no number.");
    }
    if (equals_ignoring_case(name, "transfer-encoding")) {
      ++codings;
      if (!equals_ignoring_case(value, "chunked")) {
        return HeadProblem{501, "Transfer-Encoding is not chunked, the only one this server reads."};
      }
    }
  }
  if (lines == 0) return bad("the request is empty.");
  if (hosts > 1) return bad("the request has more than one Host.");
  if (hosts == 0 && !is_old) return bad("the request has no Host.");
  if (lengths + codings > 1) return bad("the request states the length of its body more than once.");
  if (codings > 0 && is_old) return bad("HTTP/1.0 has no Transfer-Encoding.");
  return std::nullopt;
}

}  // namespace carat
