// Service: paths to handlers, over a catalogue of models and a host that loads them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model_host.h"
#include "server/access.h"
#include "server/answer_format.h"
#include "server/background_jobs.h"
#include "server/dialect.h"
#include "server/embeddings.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/run_call.h"
#include "server/served_models.h"

namespace carat {

struct ServiceOptions {
  AccessOptions access;
  bool is_lenient = false;  // requests that need stored state are answered without it
  std::size_t max_body_bytes = std::size_t{64} << 20;
  std::string version = "0";
  std::chrono::seconds stuck{120};  // a step that takes longer with work at hand: the model answers nothing any more
  // What a model's files say of it, without loading it; null: it is loaded, and asked.
  std::function<ModelInfo(const ModelEntry& entry)> describe;
  ModelSource* managed = nullptr;                    // whose models clients may get and delete; null: they may not
  FetchMedia fetch_media;                            // pictures at hosts that were allowed; null: none are fetched
  std::function<void(const std::string& line)> log;  // a JSON object a line; null: no log
};

class Service {
 public:
  // host loads the models of the catalogue by their names. Both must outlive the service.
  Service(const ServedModels& catalogue, ModelHost& host, ServiceOptions options);

  // What an HttpServer is given. The service must outlive it.
  HttpCallbacks callbacks();
  // For /metrics: how many connections there are.
  void set_connection_count(std::function<std::size_t()> count) { connection_count_ = std::move(count); }

  // From now on these API keys are asked for, and no others. Any thread.
  void set_keys(std::vector<std::string> keys) { access_.set_keys(std::move(keys)); }

  // From now on readyz says 200: the default model is there.
  void set_ready() { is_ready_ = true; }
  // From now on new requests are told 503.
  void drain() { is_draining_ = true; }
  // False when a model is stuck, or its file has changed underneath: nothing can be answered.
  bool is_healthy() const;
  // Ends all answers that are under way; their clients get what there is of them, properly ended.
  void cancel_answers();

 private:
  struct Route;
  struct Match {
    const Route* route = nullptr;
    std::string parameter;        // what {model} stands for
    std::string allowed_methods;  // of the path, where the method isn't among them
  };
  using Handler = void (Service::*)(const std::shared_ptr<Exchange>&);

  static const std::vector<Route>& routes();
  static Match match(const ServerRequest& request);
  static std::string parameter_of(const ServerRequest& request) { return match(request).parameter; }

  Admission admit(const ServerRequest& head);
  void handle(const std::shared_ptr<Exchange>& exchange);
  void finished(const ServerRequest& request, int status, std::size_t bytes, double seconds);

  // Answers.
  void chat_completions(const std::shared_ptr<Exchange>& exchange);
  void completions(const std::shared_ptr<Exchange>& exchange);
  void responses(const std::shared_ptr<Exchange>& exchange);
  void transcriptions(const std::shared_ptr<Exchange>& exchange);
  void translations(const std::shared_ptr<Exchange>& exchange);
  void transcribe(bool is_translation, const std::shared_ptr<Exchange>& exchange);
  void messages(const std::shared_ptr<Exchange>& exchange);
  void ollama_chat(const std::shared_ptr<Exchange>& exchange);
  void ollama_generate(const std::shared_ptr<Exchange>& exchange);
  void load_or_unload(const json::object& body, bool is_chat, const std::shared_ptr<Exchange>& exchange);
  void embeddings(const std::shared_ptr<Exchange>& exchange);
  void ollama_embed(const std::shared_ptr<Exchange>& exchange);
  void ollama_embeddings(const std::shared_ptr<Exchange>& exchange);
  using EmbeddingParser = Call (*)(const json::object& body, const EmbeddingModel& model);
  void embed(EmbeddingParser parse, const std::shared_ptr<Exchange>& exchange);

  // Models.
  void models(const std::shared_ptr<Exchange>& exchange);
  void model(const std::shared_ptr<Exchange>& exchange);
  void ollama_tags(const std::shared_ptr<Exchange>& exchange);
  void ollama_ps(const std::shared_ptr<Exchange>& exchange);
  void ollama_show(const std::shared_ptr<Exchange>& exchange);

  // Getting and deleting them.
  void ollama_pull(const std::shared_ptr<Exchange>& exchange);
  void ollama_delete(const std::shared_ptr<Exchange>& exchange);
  void ollama_copy(const std::shared_ptr<Exchange>& exchange);
  void delete_model(const std::shared_ptr<Exchange>& exchange);
  ModelSource& managed_source() const;  // throws ApiError 403
  void remove(const std::string& name);

  // Tokens and templates.
  void tokenize(const std::shared_ptr<Exchange>& exchange);
  void detokenize(const std::shared_ptr<Exchange>& exchange);
  void tokenizer_info(const std::shared_ptr<Exchange>& exchange);
  void apply_template(const std::shared_ptr<Exchange>& exchange);
  void count_tokens(const std::shared_ptr<Exchange>& exchange);
  void count_response_tokens(const std::shared_ptr<Exchange>& exchange);

  // The service itself.
  void page(const std::shared_ptr<Exchange>& exchange);
  void web_file(const std::shared_ptr<Exchange>& exchange);
  void live(const std::shared_ptr<Exchange>& exchange);
  void ready(const std::shared_ptr<Exchange>& exchange);
  void metrics_text(const std::shared_ptr<Exchange>& exchange);
  void versions(const std::shared_ptr<Exchange>& exchange);
  void ollama_version(const std::shared_ptr<Exchange>& exchange);
  void openapi(const std::shared_ptr<Exchange>& exchange);
  void props(const std::shared_ptr<Exchange>& exchange);

  // The body of the route's request as JSON that fits its schema; {} for an empty body where none is needed.
  json::object body_of(const ServerRequest& request) const;
  std::string plain_body(const ServerRequest& request) const;  // unpacked
  static std::string model_name_in(const json::object& body);  // "model", in old requests "name"; throws ApiError
  FetchMedia media_fetcher() const;                            // for one request: within its limits; may be null
  ModelEntry entry_of(std::string_view name) const;            // throws ApiError 404
  ModelInfo describe(const ModelEntry& entry);
  std::shared_ptr<Answerer> acquire(const ModelEntry& entry, std::optional<std::chrono::seconds> keep_alive = {});
  // Why a model could not be opened, for the client: its name, not where it lies. The log tells the rest.
  ApiError unusable(const ModelEntry& entry, const Error& error) const;
  void run(Call call, const std::shared_ptr<Exchange>& exchange, std::optional<std::chrono::seconds> keep_alive = {});
  void respond(Exchange& exchange, const json::value& body, int status = 200) const;
  void respond(Exchange& exchange, ServerResponse response) const;

  const ServedModels& catalogue_;
  ModelHost& host_;
  ServiceOptions options_;
  Access access_;  // keys are checked on the network's thread only
  Metrics metrics_;
  std::mutex calls_mutex_;  // guards calls_
  std::vector<std::weak_ptr<OpenCall>> calls_;
  std::function<std::size_t()> connection_count_;
  std::atomic<bool> is_ready_{false};
  std::atomic<bool> is_draining_{false};
  BackgroundJobs jobs_;  // last: ended before what they use goes
};

}  // namespace carat
