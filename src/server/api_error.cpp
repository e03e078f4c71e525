#include "server/api_error.h"

#include <new>
#include <utility>

#include "engine/answerer.h"

namespace carat {
namespace {

// Kinds of error by status: OpenAI's `type`, Anthropic's `type`.
struct StatusWords {
  int status;
  std::string_view openai, anthropic;
};
constexpr StatusWords kStatusWords[] = {
    {401, "authentication_error", "authentication_error"},
    {403, "permission_error", "permission_error"},
    {404, "not_found_error", "not_found_error"},
    {409, "conflict_error", "invalid_request_error"},
    {413, "invalid_request_error", "request_too_large"},
    {429, "rate_limit_exceeded", "rate_limit_error"},
    {500, "server_error", "api_error"},
    {501, "not_supported_error", "invalid_request_error"},
    {503, "unavailable_error", "overloaded_error"},
    {504, "timeout_error", "timeout_error"},
};

StatusWords words_of(int status) {
  for (const StatusWords& words : kStatusWords) {
    if (words.status == status) return words;
  }
  return {status, "invalid_request_error", "invalid_request_error"};
}

}  // namespace

Dialect dialect_of(const ServerRequest& request) {
  const std::string& path = request.path;
  if (path.starts_with("/api/")) return Dialect::kOllama;
  const bool is_messages = path == "/v1/messages" || path.starts_with("/v1/messages/");
  const bool is_shared = path == "/v1/models" || path.starts_with("/v1/models/");
  const bool is_theirs = is_messages || (is_shared && !request.header("anthropic-version").empty());
  return is_theirs ? Dialect::kAnthropic : Dialect::kOpenAi;
}

ApiError passing_error(int status, std::string code, const std::string& message, std::size_t retry_seconds) {
  ApiError error(status, std::move(code), message);
  error.retry_seconds = retry_seconds;
  return error;
}

ApiError to_api_error(ErrorKind kind, const std::string& message) {
  switch (kind) {
    case ErrorKind::kBadInput:
      return {400, "invalid_request", message};
    case ErrorKind::kNotFound:
      return {404, "model_not_found", message};
    case ErrorKind::kUnsupported:
      return {400, "unsupported_value", message};
    case ErrorKind::kOutOfMemory:
      return {503, "out_of_memory", message};
    case ErrorKind::kCancelled:
      return {503, "cancelled", message};
    case ErrorKind::kBusy:
      return passing_error(429, "queue_full", message, 1);
    case ErrorKind::kNetwork:
    case ErrorKind::kBadFile:
    case ErrorKind::kInternal:
      break;
  }
  return {500, "internal", message};
}

ApiError to_api_error(const std::exception& error) {
  if (const auto* api = dynamic_cast<const ApiError*>(&error)) return *api;
  if (const auto* busy = dynamic_cast<const BusyError*>(&error)) {
    return passing_error(429, "queue_full", busy->what(), busy->retry_seconds());
  }
  if (dynamic_cast<const ContextLengthError*>(&error) != nullptr) {
    return {400, "context_length_exceeded", error.what(), "messages"};
  }
  if (const auto* own = dynamic_cast<const Error*>(&error)) return to_api_error(own->kind(), own->what());
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return {503, "out_of_memory", "there is not enough memory for this request."};
  }
  return {500, "internal", "this should not have happened. Please report it with the request's id."};
}

json::object error_json(Dialect dialect, const ApiError& error, std::string_view request_id) {
  const StatusWords words = words_of(error.status());
  switch (dialect) {
    case Dialect::kOllama:
      return {{"error", error.what()}};
    case Dialect::kAnthropic:
      return {{"type", "error"},
              {"error", {{"type", words.anthropic}, {"message", error.what()}}},
              {"request_id", request_id}};
    case Dialect::kOpenAi:
      break;
  }
  const json::value param = error.param().empty() ? json::value(nullptr) : json::value(error.param());
  return {{"error", {{"message", error.what()}, {"type", words.openai}, {"param", param}, {"code", error.code()}}}};
}

ServerResponse error_response(Dialect dialect, const ApiError& error, std::string_view request_id) {
  ServerResponse response;
  // Ollama's clients know a full queue as 503, Anthropic's an unavailable service as 529.
  response.status = dialect == Dialect::kOllama && error.status() == 429      ? 503
                    : dialect == Dialect::kAnthropic && error.status() == 503 ? 529
                                                                              : error.status();
  response.headers = error.headers;
  if (error.status() == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (error.retry_seconds) response.headers.push_back({"Retry-After", std::to_string(*error.retry_seconds)});
  response.body = json::serialize(error_json(dialect, error, request_id));
  return response;
}

}  // namespace carat
