// multipart/form-data (RFC 7578): how files are uploaded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace carat {

struct FormPart {
  std::string name;
  std::string file_name;  // empty where the part is no file
  std::string value;
};

// content_type: the header, with its boundary. At most 256 parts. Throws ApiError(400 or 415).
std::vector<FormPart> parse_multipart(std::string_view body, std::string_view content_type);

}  // namespace carat
