// `carat serve`: models behind the interfaces of OpenAI, Ollama and Anthropic, and a web page.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>

#include "base/error.h"
#include "base/json.h"
#include "base/mapping_guard.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/media_files.h"
#include "cli/options.h"
#include "cli/remote_media.h"
#include "cli/serve_process.h"
#include "cli/store_models.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/engine.h"
#include "engine/model_host.h"
#include "engine/script.h"
#include "model/assistant.h"
#include "server/service.h"
#include "store/model_store.h"

namespace carat {

namespace {

constexpr std::uint16_t kDefaultPort = 11434;  // Ollama's: its clients find us
constexpr std::string_view kScriptPrefix = "script:";
constexpr int kStoreKeepAlive = 300;  // seconds
constexpr std::size_t kMebibyte = std::size_t{1} << 20;

struct ServeOptions {
  std::vector<std::string> models;
  std::string engine;
  std::string mmproj;     // of the first model, as is
  std::string assistant;  // this one
  std::vector<std::string> addresses = {"127.0.0.1"};
  std::optional<std::uint16_t> port;
  std::string key_file;
  bool is_insecure = false;
  std::string tls_certificate, tls_key;
  std::vector<std::string> aliases, hosts, origins, media_hosts;
  bool is_lenient = false;
  std::size_t parallel = 16;
  std::size_t queue = 256;
  std::size_t kv_budget_mib = 0;
  std::size_t max_body_mib = 64;
  std::size_t max_loaded = 1;
  std::optional<int> keep_alive;
  bool is_managed = false;
  std::size_t drain_timeout = 30;
  std::string log = "requests";
  ComputeFlags compute;
};

// NAME=MODEL, or a model: a path, whose last part without ".gguf" is its name, or a name in the store.
ModelEntry entry_of(const std::string& argument) {
  const std::size_t equals = argument.find('=');
  const bool is_named = equals != std::string::npos && !std::filesystem::exists(argument);
  const std::string model = is_named ? argument.substr(equals + 1) : argument;
  const StoredModel found = find_model(model);
  std::string name = argument.substr(0, equals);
  if (!is_named) {
    name = model;
    if (std::filesystem::exists(model)) {
      std::filesystem::path path = std::filesystem::path(model).lexically_normal();
      if (!path.has_filename()) path = path.parent_path();
      name = (path.extension() == ".gguf" ? path.stem() : path.filename()).string();
    }
  }
  return entry_of_path(name, found.path.string(), found.projector.string());
}

// Those that were named. A script, or the store, is all there is without.
std::vector<ModelEntry> entries_of(const ServeOptions& options) {
  std::vector<ModelEntry> entries;
  if (!options.engine.empty()) {
    if (!options.engine.starts_with(kScriptPrefix) || !options.models.empty()) {
      throw UsageError("--engine takes script:FILE, and no MODEL beside it.");
    }
    entries.push_back(entry_of_path("scripted", options.engine.substr(kScriptPrefix.size()), ""));
    return entries;
  }
  for (const std::string& argument : options.models) entries.push_back(entry_of(argument));
  if (!entries.empty() && !options.mmproj.empty()) entries.front().mmproj = options.mmproj;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (entries[i].name == entries[j].name) {
        throw UsageError(str("two models are named \"", printable(entries[i].name), "\"; name one NAME=MODEL."));
      }
    }
  }
  return entries;
}

// A script stands for any model: getting or deleting one is answered, and does nothing.
class ScriptedModels final : public ModelSource {
 public:
  std::vector<ModelEntry> list() const override { return {}; }
  std::optional<ModelEntry> find(std::string_view) const override { return std::nullopt; }
  void pull(const std::string&, const PullProgress& progress) override {
    constexpr std::uint64_t kBytes = 1000;
    progress(0, kBytes);
    progress(kBytes, kBytes);
  }
  void remove(const std::string&) override {}
  void copy(const std::string&, const std::string&) override {}
};

std::unique_ptr<ModelSource> source_of(const ServeOptions& options) {
  if (!options.engine.empty()) return std::make_unique<ScriptedModels>();
  return std::make_unique<StoreModels>();
}

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

HttpOptions http_options(const ServeOptions& options, bool has_keys) {
  for (const std::string& address : options.addresses) {
    if (!is_loopback(address) && !has_keys && !options.is_insecure) {
      throw UsageError(str("--host ", printable(address),
                           " lets other machines in, and there are no API keys. Give "
                           "--api-key-file FILE, or --insecure-bind if everybody may use the server."));
    }
  }
  const bool is_open = !has_keys && !std::ranges::all_of(options.addresses, is_loopback);
  if (options.is_managed && is_open) {
    throw UsageError("--manage with other machines let in needs --api-key-file: whoever may ask may delete models.");
  }
  HttpOptions http;
  http.addresses = options.addresses;
  http.port = options.port.value_or(kDefaultPort);
  http.tls_certificate_file = options.tls_certificate;
  http.tls_key_file = options.tls_key;
  return http;
}

// At the port that was asked for; without one, at the usual port or at any that is free.
std::unique_ptr<HttpServer> listen(const ServeOptions& options, HttpOptions http, const HttpCallbacks& callbacks) {
  try {
    return std::make_unique<HttpServer>(http, callbacks);
  } catch (const Error&) {
    if (options.port) throw;
  }
  http.port = 0;
  return std::make_unique<HttpServer>(http, callbacks);
}

std::string model_line(const ServeOptions& options, const ModelInfo& info, const EngineStatus& status) {
  std::string text = str("  model      ", info.name);
  if (info.has_template) text += str(" (template ", info.template_revision, ")");
  text += str(", context ", info.context, " tokens, ", options.parallel, " answers at once\n");
  return text + str("  memory     at most ", status.kv_budget_bytes / kMebibyte, " MiB for keys and values\n");
}

std::string store_line(std::size_t models) {
  return str("  models     the store's, ", models, " now; each is loaded when it is asked for\n");
}

std::string banner(const ServeOptions& options, std::uint16_t port, std::string_view models, bool has_keys) {
  std::string text = str("carat ", version(), "\n", models);
  for (const std::string& address : options.addresses) {
    const bool is_v6 = address.find(':') != std::string::npos;
    text += str("  listening  ", options.tls_certificate.empty() ? "http" : "https", "://", is_v6 ? "[" : "", address,
                is_v6 ? "]" : "", ":", port, "\n");
  }
  text += "  interfaces OpenAI /v1, Ollama /api, Anthropic /v1/messages, web page /, description /openapi.json\n";
  text += has_keys ? "  API keys   needed\n" : "  API keys   none: whoever reaches this address may ask\n";
  return text;
}

// Takes over other keys and another certificate. Where one can't be used, that is logged and both stay as they are.
void reload(const ServeOptions& options, Service& service, HttpServer& server, LineLog& log) {
  json::object line{{"event", "reload"}};
  try {
    std::vector<std::string> keys;
    if (!options.key_file.empty()) keys = read_key_file(options.key_file);
    server.reload_certificate();
    if (!keys.empty()) service.set_keys(std::move(keys));
    line["status"] = "ok";
  } catch (const Error& error) {
    line["status"] = "failed";
    line["error"] = error.what();
  }
  log.write(json::serialize(line));
}

// Answers that run are finished, for a while; a second signal ends them at once.
void stop(const ServeOptions& options, const ServeSignals& signals, Service& service, HttpServer& server) {
  constexpr std::chrono::milliseconds kPoll{50};
  constexpr std::chrono::seconds kLastWords{2};
  notify_systemd("STOPPING=1");
  service.drain();
  server.drain();
  const auto wait_until = [&](std::chrono::steady_clock::time_point deadline) {
    while (server.open_exchanges() > 0 && std::chrono::steady_clock::now() < deadline) {
      const int second = signals.await(kPoll);
      if (second != 0 && !signals.asks_to_reload(second)) ::_exit(kExitSignalBase + second);
    }
  };
  wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(options.drain_timeout));
  service.cancel_answers();
  wait_until(std::chrono::steady_clock::now() + kLastWords);
}

void serve(const ServeOptions& options) {
  const ServeSignals signals;
  survive_lost_mappings();
  std::vector<ModelEntry> entries = entries_of(options);
  const bool is_store = entries.empty();
  if (!options.assistant.empty() && options.models.empty()) {
    throw UsageError("--assistant is that of the first MODEL: name it.");
  }
  const std::filesystem::path assistant =
      options.assistant.empty() ? std::filesystem::path() : find_model(options.assistant).path;
  const std::unique_ptr<ModelSource> source = source_of(options);
  const ServedModels catalogue(std::move(entries), options.aliases, options.is_lenient,
                               is_store ? source.get() : nullptr);
  ServiceOptions service_options;
  if (!options.key_file.empty()) service_options.access.keys = read_key_file(options.key_file);
  const bool has_keys = !service_options.access.keys.empty();
  const HttpOptions http = http_options(options, has_keys);
  service_options.access.allowed_hosts = options.hosts;
  service_options.access.allowed_origins = options.origins;
  RemoteMedia media(options.media_hosts);
  if (!options.media_hosts.empty()) {
    service_options.fetch_media = [&media](const std::string& url) { return media.fetch(url); };
  }
  service_options.is_lenient = options.is_lenient;
  service_options.max_body_bytes = options.max_body_mib * kMebibyte;
  service_options.version = version();
  if (options.engine.empty()) {  // a script has to be run to be asked
    service_options.describe = [](const ModelEntry& entry) {
      return info_of(*Model::load(entry.path, {.mmproj = entry.mmproj}));
    };
  }
  if (options.is_managed) service_options.managed = source.get();
  LineLog log;
  if (options.log == "requests") service_options.log = [&log](const std::string& line) { log.write(line); };

  const auto load = [&](const std::string& name) -> std::shared_ptr<Answerer> {
    const auto found = catalogue.find(name);
    if (!found) throw Error(ErrorKind::kNotFound, str("model '", printable(name), "' not found."));
    const ModelEntry& entry = *found;
    EngineOptions engine;
    engine.name = entry.name;
    engine.context = options.compute.context;
    engine.kv_budget = options.kv_budget_mib * kMebibyte;
    engine.max_running = options.parallel;
    engine.max_queued = options.queue;
    engine.kv_type = session_options(options.compute).kv_type;
    const bool is_default = !is_store && entry.name == catalogue.default_model()->name;
    if (!options.engine.empty()) return make_scripted_answerer(entry.path, engine);
    const auto model = Model::load(entry.path, {.mmproj = entry.mmproj});
    if (is_default && !assistant.empty()) engine.assistant = Assistant::load(assistant, *model);
    return std::make_shared<Engine>(model, compute_options(options.compute), engine);
  };
  const int keep_alive = options.keep_alive.value_or(is_store ? kStoreKeepAlive : -1);
  ModelHost host(load, {std::chrono::seconds(keep_alive), options.max_loaded});
  Service service(catalogue, host, std::move(service_options));
  const auto server = listen(options, http, service.callbacks());
  service.set_connection_count([&] { return server->open_connections(); });

  // The server listens already: /livez answers while a model loads.
  std::string models;
  if (is_store) {
    models = store_line(catalogue.models().size());
  } else {
    const auto answerer = host.acquire(catalogue.default_model()->name);
    models = model_line(options, answerer->info(), answerer->status());
  }
  service.set_ready();
  write_stdout(banner(options, server->port(), models, has_keys));
  notify_systemd("READY=1");
  constexpr std::chrono::seconds kWatch{1};
  while (true) {
    const int signal = signals.await(kWatch);
    if (signal != 0 && !signals.asks_to_reload(signal)) break;
    if (signal != 0) reload(options, service, *server, log);
    if (service.is_healthy()) notify_systemd("WATCHDOG=1");
  }
  stop(options, signals, service, *server);
}

}  // namespace

void define_serve(Command root, Action& action) {
  auto options = std::make_shared<ServeOptions>();
  const Command verb = root.add_verb("serve", "Serve models over HTTP: OpenAI's, Ollama's and Anthropic's interfaces",
                                     "carat serve model.gguf --port 8080");
  verb.option(
          "MODEL", options->models,
          "Files, folders or names in the store, each MODEL or NAME=MODEL; the first is the default. Without any: all "
          "models of the store, each loaded when it is asked for")
      .value("MODEL");
  add_mmproj(verb, options->mmproj);
  verb.option("--host", options->addresses, "An address to listen at; may be given several times")
      .value("ADDRESS")
      .with_default("127.0.0.1");
  verb.option("--port", options->port, "The port; without it 11434, or a free one if that is taken")
      .range(0, 65535)
      .value("N");
  verb.option("--alias", options->aliases, "A further name of the first model; may be given several times")
      .value("NAME");
  verb.flag("--lenient", options->is_lenient,
            "Answer for any model name, and pass over what would need stored conversations");
  verb.option("--engine", options->engine, "script:FILE answers from a script, for tests of clients")
      .value("script:FILE");
  constexpr const char* kAccess = "Access";
  verb.option("--api-key-file", options->key_file, "Ask for one of the keys in this file, one a line")
      .value("FILE")
      .group(kAccess);
  verb.flag("--insecure-bind", options->is_insecure, "Listen to other machines without keys").group(kAccess);
  verb.option("--allow-host", options->hosts, "A host name by which this server may be called")
      .value("NAME")
      .group(kAccess);
  verb.option("--cors-origin", options->origins, "Let pages of this origin ask (https://example.org)")
      .value("ORIGIN")
      .group(kAccess);
  verb.option("--allow-media-host", options->media_hosts,
              "A host that pictures may be fetched from when a request names their address: HOST[:PORT] over "
              "HTTPS, or http://HOST[:PORT]; may be given several times (default: none)")
      .value("HOST")
      .group(kAccess);
  verb.option("--tls-cert", options->tls_certificate, "HTTPS with this certificate (PEM)").value("FILE").group(kAccess);
  verb.option("--tls-key", options->tls_key, "The certificate's private key (PEM)").value("FILE").group(kAccess);
  verb.flag("--manage", options->is_managed, "Let clients pull, copy and delete models of the store").group(kAccess);
  constexpr const char* kLimits = "Limits";
  add_count(verb, "--parallel", options->parallel, 1, 1024, "Answers computed at once").group(kLimits);
  add_count(verb, "--queue", options->queue, 1, 1000000, "Requests that may wait; more are refused (429)")
      .group(kLimits);
  verb.option("--kv-budget", options->kv_budget_mib,
              "Most memory for keys and values, in MiB (default: a third of what is free)")
      .value("N")
      .group(kLimits);
  add_count(verb, "--max-body", options->max_body_mib, 1, 1024, "Most MiB of a request").group(kLimits);
  add_count(verb, "--max-loaded", options->max_loaded, 1, 64, "Models in memory at once").group(kLimits);
  verb.option("--keep-alive", options->keep_alive,
              "Seconds after which an unused model is unloaded; -1: never (default; 300 without MODEL)")
      .value("N")
      .group(kLimits);
  add_count(verb, "--drain-timeout", options->drain_timeout, 0, 86400,
            "Seconds that running answers have to end after SIGTERM")
      .group(kLimits);
  verb.option("--log", options->log, "Requests as JSON lines on stderr, or nothing")
      .one_of({"requests", "none"})
      .with_default();
  add_assistant(verb, options->assistant);
  add_compute_flags(verb, options->compute);
  set_action(verb, action, options, serve);
}

}  // namespace carat
