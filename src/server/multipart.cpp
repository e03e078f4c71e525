#include "server/multipart.h"

#include <optional>

#include "server/api_error.h"
#include "server/http_message.h"

namespace carat {
namespace {

constexpr std::size_t kMaxParts = 256;
constexpr std::size_t kMaxPartHead = 8192;
constexpr std::size_t kMaxBoundary = 70;  // RFC 2046, 5.1.1

ApiError malformed(std::string_view what) {
  return {400, "invalid_form", str("the form is not proper multipart/form-data: ", what, ".")};
}

// The value of a parameter in `form-data; name="file"; filename="a.wav"`.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  std::size_t at = 0;
  while ((at = header.find(';', at)) != std::string_view::npos) {
    ++at;
    while (at < header.size() && (header[at] == ' ' || header[at] == '\t')) ++at;
    const std::size_t equals = header.find('=', at);
    if (equals == std::string_view::npos) return std::nullopt;
    const bool is_it = equals_ignoring_case(header.substr(at, equals - at), name);
    std::string value;
    at = equals + 1;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size()) ++at;
        value += header[at];
      }
    } else {
      for (; at < header.size() && header[at] != ';' && header[at] != ' '; ++at) value += header[at];
    }
    if (is_it) return value;
  }
  return std::nullopt;
}

FormPart part_of(std::string_view head, std::string_view content) {
  FormPart part;
  bool is_named = false;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(head.size(), end + 2));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) throw malformed("a part's header has no colon");
    if (!equals_ignoring_case(line.substr(0, colon), "content-disposition")) continue;
    const auto name = parameter(line, "name");
    is_named = name.has_value();
    part.name = name.value_or("");
    part.file_name = parameter(line, "filename").value_or("");
  }
  if (!is_named) throw malformed("a part has no name");
  part.value = std::string(content);
  return part;
}

}  // namespace

std::vector<FormPart> parse_multipart(std::string_view body, std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  if (!equals_ignoring_case(type, "multipart/form-data")) {
    throw ApiError(415, "unsupported_media_type", "this needs a form: Content-Type multipart/form-data.");
  }
  const auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > kMaxBoundary) throw malformed("it states no boundary");
  const std::string delimiter = "--" + *boundary;
  if (!body.starts_with(delimiter)) throw malformed("it does not begin with its boundary");
  body.remove_prefix(delimiter.size());
  const std::string next = "\r\n" + delimiter;
  std::vector<FormPart> parts;
  while (!body.starts_with("--")) {
    if (!body.starts_with("\r\n")) throw malformed("a boundary is not followed by a line's end");
    body.remove_prefix(2);
    const std::size_t head_end = body.substr(0, kMaxPartHead).find("\r\n\r\n");
    if (head_end == std::string_view::npos) throw malformed("a part has no head");
    const std::size_t end = body.find(next, head_end + 2);
    if (end == std::string_view::npos) throw malformed("its end is missing");
    if (parts.size() == kMaxParts) throw malformed("it has too many parts");
    const std::size_t begin = head_end + 4;
    parts.push_back(part_of(body.substr(0, head_end), end > begin ? body.substr(begin, end - begin) : ""));
    body.remove_prefix(end + next.size());
  }
  return parts;
}

}  // namespace carat
