#include "server/service.h"

#include <algorithm>
#include <chrono>

#include "server/api_document.h"
#include "server/dialect.h"
#include "server/gunzip.h"
#include "server/run_call.h"
#include "server/service_routes.h"

namespace carat {
namespace {

constexpr std::size_t kSmallBody = std::size_t{4} << 20;  // of requests without media
constexpr std::size_t kDrainRetrySeconds = 5;
constexpr std::size_t kMostPulls = 4;
constexpr std::chrono::seconds kMostFetchTime{20};  // of a request's pictures at addresses

std::string route_label(std::string_view path, bool is_known) {
  return is_known ? std::string(path) : "other";
}

}  // namespace

const std::vector<Service::Route>& Service::routes() {
  using S = Service;
  using enum BodyKind;
  static const std::vector<Route> table = {
      {"POST", "/v1/chat/completions", &S::chat_completions, kMediaJson},
      {"POST", "/v1/completions", &S::completions, kSmallJson},
      {"POST", "/v1/responses", &S::responses, kMediaJson},
      {"POST", "/v1/responses/input_tokens", &S::count_response_tokens, kMediaJson},
      {"POST", "/v1/embeddings", &S::embeddings, kSmallJson},
      {"POST", "/v1/audio/transcriptions", &S::transcriptions, kForm},
      {"POST", "/v1/audio/translations", &S::translations, kForm},
      {"GET", "/v1/models", &S::models},
      {"GET", "/v1/models/{model}", &S::model},
      {"DELETE", "/v1/models/{model}", &S::delete_model},
      {"POST", "/v1/messages", &S::messages, kMediaJson},
      {"POST", "/v1/messages/count_tokens", &S::count_tokens, kMediaJson},
      {"POST", "/api/chat", &S::ollama_chat, kMediaJson},
      {"POST", "/api/generate", &S::ollama_generate, kMediaJson},
      {"POST", "/api/embed", &S::ollama_embed, kSmallJson},
      {"POST", "/api/embeddings", &S::ollama_embeddings, kSmallJson},
      {"GET", "/api/tags", &S::ollama_tags},
      {"HEAD", "/api/tags", &S::ollama_tags},
      {"GET", "/api/ps", &S::ollama_ps},
      {"GET", "/api/version", &S::ollama_version},
      {"HEAD", "/api/version", &S::ollama_version},
      {"POST", "/api/show", &S::ollama_show, kSmallJson},
      {"POST", "/api/pull", &S::ollama_pull, kSmallJson},
      {"POST", "/api/copy", &S::ollama_copy, kSmallJson},
      {"DELETE", "/api/delete", &S::ollama_delete, kSmallJson},
      {"POST", "/tokenize", &S::tokenize, kSmallJson},
      {"POST", "/detokenize", &S::detokenize, kSmallJson},
      {"GET", "/tokenizer_info", &S::tokenizer_info},
      {"POST", "/apply-template", &S::apply_template, kMediaJson},
      {"GET", "/props", &S::props},
      {"GET", "/metrics", &S::metrics_text},
      {"GET", "/openapi.json", &S::openapi},
      {"GET", "/version", &S::versions},
      {"GET", "/livez", &S::live, kNone, true},
      {"GET", "/readyz", &S::ready, kNone, true},
      {"GET", "/ready", &S::ready, kNone, true},
      {"GET", "/health", &S::ready, kNone, true},
      {"GET", "/v1/health", &S::ready, kNone, true},
      {"GET", "/", &S::page, kNone, true},
      {"HEAD", "/", &S::page, kNone, true},
      {"GET", "/web/{file}", &S::web_file, kNone, true},
  };
  return table;
}

Service::Match Service::match(const ServerRequest& request) {
  Match match;
  for (const Route& route : routes()) {
    const std::size_t brace = route.path.find('{');
    const std::string_view fixed = route.path.substr(0, brace);
    const bool is_path = brace == std::string_view::npos
                             ? request.path == fixed
                             : request.path.size() > fixed.size() && request.path.starts_with(fixed);
    if (!is_path) continue;
    if (route.method == request.method) {
      match.route = &route;
      if (brace != std::string_view::npos) match.parameter = request.path.substr(fixed.size());
      return match;
    }
    match.allowed_methods += (match.allowed_methods.empty() ? "" : ", ") + std::string(route.method);
  }
  return match;
}

Service::Service(const ServedModels& catalogue, ModelHost& host, ServiceOptions options)
    : catalogue_(catalogue),
      host_(host),
      options_(std::move(options)),
      access_(std::move(options_.access)),
      jobs_(kMostPulls) {}

HttpCallbacks Service::callbacks() {
  HttpCallbacks callbacks;
  callbacks.admit = [this](const ServerRequest& head) { return admit(head); };
  callbacks.handle = [this](const std::shared_ptr<Exchange>& exchange) { handle(exchange); };
  callbacks.refuse = [](const ServerRequest& head, int status, const std::string& message) {
    const char* code = status == 500                    ? "internal"
                       : status == 408                  ? "timeout"
                       : status == 413 || status == 431 ? "request_too_large"
                                                        : "bad_request";
    return error_response(dialect_of(head), ApiError(status, code, message), head.id);
  };
  callbacks.finished = [this](const ServerRequest& request, int status, std::size_t bytes, double seconds) {
    finished(request, status, bytes, seconds);
  };
  return callbacks;
}

Admission Service::admit(const ServerRequest& head) {
  Admission admission;
  const Match found = match(head);
  std::vector<HttpHeader> cross_origin = access_.cross_origin_headers(head);
  const auto refuse = [&](ApiError error) {
    error.headers.insert(error.headers.end(), cross_origin.begin(), cross_origin.end());
    admission.refusal = error_response(dialect_of(head), error, head.id);
    return admission;
  };
  if (auto error = access_.check_origin(head)) return refuse(*error);
  if (head.method == "OPTIONS" && !cross_origin.empty()) {
    admission.refusal = ServerResponse{204, "", cross_origin, ""};
    return admission;
  }
  if (found.route == nullptr && found.allowed_methods.empty()) {
    return refuse(
        {404, "unknown_url", str("there is no ", printable(head.path), " here; /openapi.json lists what is.")});
  }
  if (found.route == nullptr) {
    ApiError error(405, "method_not_allowed", str(printable(head.path), " takes ", found.allowed_methods, "."));
    error.headers.push_back({"Allow", found.allowed_methods});
    return refuse(error);
  }
  if (!found.route->is_open) {
    if (auto error = access_.check_key(head, std::chrono::steady_clock::now())) return refuse(*error);
    if (is_draining_) {
      return refuse(passing_error(503, "draining", "this server is shutting down.", kDrainRetrySeconds));
    }
  }
  const std::string_view encoding = head.header("content-encoding");
  if (!encoding.empty() && !equals_ignoring_case(encoding, "gzip") && !equals_ignoring_case(encoding, "identity")) {
    return refuse({415, "unsupported_encoding", "Content-Encoding can only be gzip."});
  }
  const BodyKind body = found.route->body;
  // Requests that take no body may bring one: some clients send "{}" with a GET.
  admission.is_quick = found.route->is_open;  // health, above all, is told also while every handler is at work
  admission.max_body_bytes = body == BodyKind::kMediaJson || body == BodyKind::kForm
                                 ? options_.max_body_bytes
                                 : std::min(kSmallBody, options_.max_body_bytes);
  return admission;
}

void Service::handle(const std::shared_ptr<Exchange>& exchange) {
  const ServerRequest& request = exchange->request();
  try {
    (this->*match(request).route->handler)(exchange);
  } catch (const std::exception& error) {
    ApiError api = to_api_error(error);
    if (api.status() == 500 && options_.log) {
      options_.log(json::serialize(json::object{{"id", request.id}, {"error", error.what()}}));
    }
    respond(*exchange, error_response(dialect_of(request), api, request.id));
  }
}

void Service::finished(const ServerRequest& request, int status, std::size_t bytes, double seconds) {
  const Match found = match(request);
  metrics_.count_response(route_label(found.route != nullptr ? found.route->path : "", found.route != nullptr), status,
                          seconds);
  if (!options_.log) return;
  constexpr double kMilliseconds = 1000;
  options_.log(json::serialize(json::object{{"time", rfc3339_now()},
                                            {"id", request.id},
                                            {"peer", request.peer},
                                            {"method", request.method},
                                            {"path", printable(request.path, 256)},
                                            {"status", status},
                                            {"bytes", bytes},
                                            {"ms", seconds * kMilliseconds}}));
}

std::string Service::plain_body(const ServerRequest& request) const {
  if (!equals_ignoring_case(request.header("content-encoding"), "gzip")) return request.body;
  return gunzip(request.body, options_.max_body_bytes);
}

json::object Service::body_of(const ServerRequest& request) const {
  const json::value* schema = body_schema(request.method, match(request).route->path);
  return schema == nullptr ? json::object() : parse_body(plain_body(request), *schema);
}

ModelEntry Service::entry_of(std::string_view name) const {
  auto entry = catalogue_.find(name);
  if (!entry) {
    throw ApiError(404, "model_not_found",
                   str("model '", printable(name), "' not found; /v1/models lists what is here."), "model");
  }
  return *std::move(entry);
}

FetchMedia Service::media_fetcher() const {
  if (!options_.fetch_media) return {};
  const auto deadline = std::chrono::steady_clock::now() + kMostFetchTime;
  return [this, deadline, room = options_.max_body_bytes](const std::string& url) mutable {
    if (std::chrono::steady_clock::now() > deadline) {
      throw Error(ErrorKind::kBadInput,
                  str("is not fetched: those before it took over ", kMostFetchTime.count(), " s."));
    }
    std::string bytes = options_.fetch_media(url);
    if (bytes.size() > room) throw Error(ErrorKind::kBadInput, "and those before it are too large together.");
    room -= bytes.size();
    return bytes;
  };
}

std::shared_ptr<Answerer> Service::acquire(const ModelEntry& entry, std::optional<std::chrono::seconds> keep_alive) {
  if (!is_ready_) {
    throw passing_error(503, "loading_model", "the model is being loaded.", 1);
  }
  try {
    return host_.acquire(entry.name, keep_alive);
  } catch (const Error& error) {
    throw unusable(entry, error);
  }
}

ModelInfo Service::describe(const ModelEntry& entry) {
  if (!options_.describe) return acquire(entry)->info();
  try {
    return options_.describe(entry);
  } catch (const Error& error) {
    throw unusable(entry, error);
  }
}

ApiError Service::unusable(const ModelEntry& entry, const Error& error) const {
  const ErrorKind kind = error.kind();
  const bool is_of_the_machine =
      kind == ErrorKind::kBusy || kind == ErrorKind::kOutOfMemory || kind == ErrorKind::kCancelled;
  if (is_of_the_machine) return to_api_error(error);
  const bool is_gone = kind == ErrorKind::kNotFound;
  if (options_.log) options_.log(json::serialize(json::object{{"model", entry.name}, {"error", error.what()}}));
  return {is_gone ? 404 : 500, is_gone ? "model_not_found" : "internal",
          str("the file of model '", entry.name, is_gone ? "' is gone" : "' can't be used",
              "; the server's log says more."),
          "model"};
}

void Service::run(Call call, const std::shared_ptr<Exchange>& exchange,
                  std::optional<std::chrono::seconds> keep_alive) {
  std::shared_ptr<Answerer> answerer = acquire(entry_of(call.requests.front().model), keep_alive);
  for (Request& request : call.requests) {
    if (request.user.empty()) request.user = exchange->request().peer;  // the engine is fair between users
  }
  std::vector<HttpHeader> headers = access_.cross_origin_headers(exchange->request());
  const auto opened = [this](std::weak_ptr<OpenCall> open) {
    const std::scoped_lock lock(calls_mutex_);
    std::erase_if(calls_, [](const auto& known) { return known.expired(); });
    calls_.push_back(std::move(open));
  };
  run_call(std::move(answerer), std::move(call), exchange, dialect_of(exchange->request()), std::move(headers), opened,
           [this](const Usage& usage, const Timings& timings) { metrics_.count_answer(usage, timings); });
}

void Service::cancel_answers() {
  std::vector<std::weak_ptr<OpenCall>> calls;
  {
    const std::scoped_lock lock(calls_mutex_);
    calls = calls_;
  }
  for (const auto& known : calls) {
    if (const auto call = known.lock()) call->cancel();
  }
}

void Service::respond(Exchange& exchange, ServerResponse response) const {
  const auto cross_origin = access_.cross_origin_headers(exchange.request());
  response.headers.insert(response.headers.end(), cross_origin.begin(), cross_origin.end());
  response.headers.push_back({"X-Content-Type-Options", "nosniff"});
  exchange.respond(std::move(response));
}

void Service::respond(Exchange& exchange, const json::value& body, int status) const {
  respond(exchange, ServerResponse{status, "application/json", {}, json::serialize(body)});
}

}  // namespace carat
