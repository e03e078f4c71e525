// ServerRequest and ServerResponse as plain data: what handlers see of HTTP.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

struct HttpHeader {
  std::string name, value;
};

struct ServerRequest {
  std::string method;  // "GET"
  std::string path;    // percent-decoded, without the query
  std::string query;   // what stands behind '?', as sent
  std::vector<HttpHeader> headers;
  std::string body;
  std::string id;    // of this request, in every reply and log line: the client's X-Request-Id, or one made here
  std::string peer;  // the client's address, "127.0.0.1"

  // The value of the first header of that name, whatever its case; empty when there is none.
  std::string_view header(std::string_view name) const;
};

struct ServerResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<HttpHeader> headers = {};  // besides Content-Type, Content-Length, Date and X-Request-Id
  std::string body = {};
};

// The standard's words for a status, "Not Found".
std::string_view reason_phrase(int status);

// ASCII letters compared without their case, as header names are.
bool equals_ignoring_case(std::string_view a, std::string_view b);

// "%41" -> "A"; nullopt for a '%' without two hexadecimal digits and for an encoded NUL.
std::optional<std::string> percent_decode(std::string_view text);

// The value of a parameter in a query string, decoded; nullopt when it isn't there.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

// "req_" and 24 letters and digits, different each time.
std::string random_id(std::string_view prefix);

}  // namespace carat
