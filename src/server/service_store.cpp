// Service: getting, naming and deleting models of the source, where clients may.
#include <atomic>
#include <chrono>

#include "server/dialect.h"
#include "server/service.h"

namespace carat {
namespace {

std::string ndjson(const json::object& line) {
  return json::serialize(line) + "\n";
}

// Lines of a pull as Ollama's clients read them, no more than a few a second.
class PullLines {
 public:
  PullLines(std::string name, std::shared_ptr<Exchange> exchange)
      : name_(std::move(name)), exchange_(std::move(exchange)) {}

  void progress(std::uint64_t done, std::uint64_t total) {
    constexpr std::chrono::milliseconds kPause{250};
    const auto now = std::chrono::steady_clock::now();
    if (done < total && now < last_ + kPause) return;
    last_ = now;
    exchange_->write(ndjson({{"status", str("pulling ", printable(name_))}, {"total", total}, {"completed", done}}));
  }

 private:
  std::string name_;
  std::shared_ptr<Exchange> exchange_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace

ModelSource& Service::managed_source() const {
  if (options_.managed == nullptr) {
    throw ApiError(
        403, "administration_off",
        "models are not managed over this interface; use `carat pull` and `carat rm` on the server, or start "
        "it with --manage.");
  }
  return *options_.managed;
}

std::string Service::model_name_in(const json::object& body) {
  const std::string name = string_of(body, "model");
  std::string asked = name.empty() ? string_of(body, "name") : name;
  if (asked.empty()) throw ApiError(400, "missing_required_parameter", "model is required.", "model");
  return asked;
}

void Service::ollama_pull(const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  ModelSource& source = managed_source();
  const std::string name = model_name_in(body);
  const bool is_streaming = boolean_of(body, "stream").value_or(true);
  const auto has_left = std::make_shared<std::atomic<bool>>(false);
  const auto headers = access_.cross_origin_headers(exchange->request());
  const bool is_begun =
      jobs_.start([this, &source, name, is_streaming, has_left, exchange, headers](const std::stop_token& stop) {
        if (is_streaming) {
          exchange->begin_stream({200, "application/x-ndjson", headers, ndjson({{"status", "pulling manifest"}})});
        }
        PullLines lines(name, exchange);
        try {
          source.pull(name, [&](std::uint64_t done, std::uint64_t total) {
            if (is_streaming) lines.progress(done, total);
            return !stop.stop_requested() && !*has_left;
          });
        } catch (const std::exception& error) {
          const ApiError api = to_api_error(error);
          const std::string& id = exchange->request().id;
          if (!is_streaming) return respond(*exchange, error_response(Dialect::kOllama, api, id));
          exchange->write(ndjson(error_json(Dialect::kOllama, api, id)));
          return exchange->end_stream();
        }
        if (!is_streaming) return respond(*exchange, {{"status", "success"}});
        for (const char* status : {"verifying sha256 digest", "writing manifest", "success"}) {
          exchange->write(ndjson({{"status", status}}));
        }
        exchange->end_stream();
      });
  if (!is_begun) throw passing_error(503, "too_many_pulls", "other models are being pulled; try again later.", 10);
  exchange->on_gone([has_left] { *has_left = true; });
}

void Service::remove(const std::string& name) {
  ModelSource& source = managed_source();
  const auto entry = source.find(name);
  source.remove(name);
  if (entry) host_.unload(entry->name);
}

void Service::ollama_delete(const std::shared_ptr<Exchange>& exchange) {
  remove(model_name_in(body_of(exchange->request())));
  respond(*exchange, ServerResponse{200, "application/json", {}, ""});
}

void Service::delete_model(const std::shared_ptr<Exchange>& exchange) {
  const std::string id = parameter_of(exchange->request());
  remove(id);
  respond(*exchange, {{"id", id}, {"object", "model"}, {"deleted", true}});
}

void Service::ollama_copy(const std::shared_ptr<Exchange>& exchange) {
  const json::object body = body_of(exchange->request());
  managed_source().copy(string_of(body, "source"), string_of(body, "destination"));
  respond(*exchange, ServerResponse{200, "application/json", {}, ""});
}

}  // namespace carat
