// Service: the web page, health, figures and documents.
#include <algorithm>

#include "server/api_document.h"
#include "server/embedded_files.h"
#include "server/service.h"

namespace carat {
namespace {

// The level of Ollama's interface that is spoken; its clients compare it.
constexpr std::string_view kOllamaVersion = "0.12.0";

// The page runs its own script only, shows pictures that were chosen in it, and talks to this server.
constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

ServerResponse file_response(const EmbeddedFile& file) {
  ServerResponse response;
  response.content_type = file.name.ends_with(".html")  ? "text/html; charset=utf-8"
                          : file.name.ends_with(".css") ? "text/css; charset=utf-8"
                          : file.name.ends_with(".svg") ? "image/svg+xml"
                                                        : "text/javascript; charset=utf-8";
  response.headers = {{"Content-Security-Policy", std::string(kPagePolicy)},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cache-Control", "no-cache"}};
  response.body = file.text;
  return response;
}

const EmbeddedFile* find_file(std::string_view name) {
  const auto files = embedded_files();
  const auto found = std::ranges::find(files, name, &EmbeddedFile::name);
  return found != files.end() ? &*found : nullptr;
}

}  // namespace

void Service::page(const std::shared_ptr<Exchange>& exchange) {
  const std::string_view accept = exchange->request().header("accept");
  // Ollama's clients look at / to see whether the server runs.
  if (accept.find("text/html") == std::string_view::npos) {
    return respond(*exchange, ServerResponse{200, "text/plain; charset=utf-8", {}, "Ollama is running"});
  }
  respond(*exchange, file_response(*find_file("web/index.html")));
}

void Service::web_file(const std::shared_ptr<Exchange>& exchange) {
  const EmbeddedFile* file = find_file(str("web/", parameter_of(exchange->request())));
  if (file == nullptr) throw ApiError(404, "unknown_url", "there is no such file.");
  respond(*exchange, file_response(*file));
}

void Service::live(const std::shared_ptr<Exchange>& exchange) {
  respond(*exchange, {{"status", "ok"}});
}

bool Service::is_healthy() const {
  const auto loaded = host_.loaded();
  return std::ranges::all_of(loaded, [this](const ModelHost::Loaded& model) {
    const EngineStatus status = model.answerer->status();
    return status.is_healthy && std::chrono::duration<double>(status.seconds_since_step) <= options_.stuck;
  });
}

void Service::ready(const std::shared_ptr<Exchange>& exchange) {
  const char* problem = is_draining_ ? "draining" : !is_ready_ ? "loading_model" : nullptr;
  if (problem == nullptr && !is_healthy()) problem = "stuck";
  if (problem != nullptr) throw passing_error(503, problem, str("not ready: ", problem, "."), 1);
  respond(*exchange, {{"status", "ok"}});
}

void Service::metrics_text(const std::shared_ptr<Exchange>& exchange) {
  std::vector<Metrics::Model> models;
  for (const ModelHost::Loaded& loaded : host_.loaded()) models.push_back({loaded.name, loaded.answerer->status()});
  const std::size_t connections = connection_count_ ? connection_count_() : 0;
  respond(
      *exchange,
      ServerResponse{
          200, "text/plain; version=0.0.4; charset=utf-8", {}, metrics_.text(models, connections, options_.version)});
}

void Service::versions(const std::shared_ptr<Exchange>& exchange) {
  respond(*exchange, {{"version", options_.version}, {"name", "carat"}});
}

void Service::ollama_version(const std::shared_ptr<Exchange>& exchange) {
  respond(*exchange, {{"version", kOllamaVersion}});
}

void Service::openapi(const std::shared_ptr<Exchange>& exchange) {
  respond(*exchange, api_document());
}

void Service::props(const std::shared_ptr<Exchange>& exchange) {
  const auto answerer = acquire(entry_of(query_parameter(exchange->request().query, "model").value_or("")));
  const ModelInfo& info = answerer->info();
  const EngineStatus status = answerer->status();
  respond(*exchange, {{"model", info.name},
                      {"architecture", info.architecture},
                      {"context", info.context},
                      {"trained_context", info.trained_context},
                      {"modalities", {{"vision", info.sees_images}, {"audio", info.hears_audio}}},
                      {"has_template", info.has_template},
                      {"template_revision", info.template_revision},
                      {"slots", status.running_limit},
                      {"running", status.running},
                      {"queued", status.queued},
                      {"queue_limit", status.queue_limit},
                      {"kv_budget_bytes", status.kv_budget_bytes},
                      {"build", options_.version}});
}

}  // namespace carat
