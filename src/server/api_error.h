// ApiError: why a request isn't answered, and its form in each dialect.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "server/http_message.h"

namespace carat {

enum class Dialect { kOpenAi, kOllama, kAnthropic };

// The dialect a path belongs to; of paths that several share, by the headers.
Dialect dialect_of(const ServerRequest& request);

class ApiError : public std::runtime_error {
 public:
  ApiError(int status, std::string code, const std::string& message, std::string param = {})
      : std::runtime_error(message), status_(status), code_(std::move(code)), param_(std::move(param)) {}

  int status() const { return status_; }
  const std::string& code() const { return code_; }    // "model_not_found"
  const std::string& param() const { return param_; }  // "messages[0].role"; may be empty
  std::optional<std::size_t> retry_seconds;            // of 429 and 503
  std::vector<HttpHeader> headers;                     // further ones of the answer

 private:
  int status_;
  std::string code_, param_;
};

// An error that passes: try again after so many seconds.
ApiError passing_error(int status, std::string code, const std::string& message, std::size_t retry_seconds);

// Any exception as an ApiError. What is neither Error nor ApiError is 500 without its words: they may hold addresses.
ApiError to_api_error(const std::exception& error);
ApiError to_api_error(ErrorKind kind, const std::string& message);

// The JSON of an error, alone or in a stream.
json::object error_json(Dialect dialect, const ApiError& error, std::string_view request_id);

ServerResponse error_response(Dialect dialect, const ApiError& error, std::string_view request_id);

}  // namespace carat
