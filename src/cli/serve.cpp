// `carat serve`: models behind the interfaces of OpenAI, Ollama and Anthropic, and a web page.
#include "cli/serve.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>

#include "base/error.h"
#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "cli/media_files.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "engine/model_host.h"
#include "engine/script.h"
#include "server/service.h"

namespace carat {

namespace {

constexpr std::uint16_t kDefaultPort = 11434;  // Ollama's: its clients find us
constexpr std::string_view kScriptPrefix = "script:";
constexpr std::size_t kMebibyte = std::size_t{1} << 20;

struct ServeOptions {
  std::vector<std::string> models;
  std::string engine;
  std::string mmproj;  // of the first model
  std::vector<std::string> addresses = {"127.0.0.1"};
  std::optional<std::uint16_t> port;
  std::string key_file;
  bool is_insecure = false;
  std::string tls_certificate, tls_key;
  std::vector<std::string> aliases, hosts, origins;
  bool is_lenient = false;
  std::size_t parallel = 16;
  std::size_t queue = 256;
  std::size_t kv_budget_mib = 0;
  std::size_t max_body_mib = 64;
  std::size_t max_loaded = 1;
  int keep_alive = -1;
  std::size_t drain_timeout = 30;
  std::string log = "requests";
  ComputeFlags compute;
};

std::uint64_t size_of_files(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) return std::filesystem::file_size(path, ignored);
  std::uint64_t size = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
    if (entry.is_regular_file(ignored)) size += entry.file_size(ignored);
  }
  return size;
}

std::int64_t modified_at(const std::filesystem::path& path) {
  std::error_code error;
  const auto time = std::filesystem::last_write_time(path, error);
  if (error) return 0;
  const auto system = std::chrono::file_clock::to_sys(time).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(system).count();
}

// "NAME=PATH", or a path, whose last part without ".gguf" is the name, or a name in the store.
ModelEntry entry_of(const std::string& argument) {
  ModelEntry entry;
  const std::size_t equals = argument.find('=');
  const bool is_named = equals != std::string::npos && !std::filesystem::exists(argument);
  entry.path = is_named ? argument.substr(equals + 1) : argument;
  const bool is_path = std::filesystem::exists(entry.path);
  if (!is_path) {
    const StoredModel files = find_model(entry.path);
    entry.path = files.path.string();
    entry.mmproj = files.projector.string();
  }
  std::filesystem::path path = std::filesystem::path(entry.path).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::filesystem::path last = path.extension() == ".gguf" ? path.stem() : path.filename();
  entry.name = is_named ? argument.substr(0, equals) : is_path ? last.string() : argument;
  entry.size_bytes = size_of_files(entry.path);
  entry.modified = modified_at(entry.path);
  entry.format = std::filesystem::is_directory(entry.path) ? "safetensors" : "gguf";
  return entry;
}

std::vector<ModelEntry> entries_of(const ServeOptions& options) {
  std::vector<ModelEntry> entries;
  if (!options.engine.empty()) {
    if (!options.engine.starts_with(kScriptPrefix) || !options.models.empty()) {
      throw UsageError("--engine takes script:FILE, and no MODEL beside it.");
    }
    entries.push_back({.name = "scripted", .path = options.engine.substr(kScriptPrefix.size())});
    entries.back().modified = modified_at(entries.back().path);
    return entries;
  }
  if (options.models.empty()) throw UsageError("which model is to be served? `carat serve MODEL`");
  for (const std::string& argument : options.models) entries.push_back(entry_of(argument));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (entries[i].name == entries[j].name) {
        throw UsageError(str("two models are named \"", printable(entries[i].name), "\"; name one NAME=PATH."));
      }
    }
  }
  return entries;
}

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

// Tells systemd how things stand, where it is what started us (sd_notify(3)).
void notify_systemd(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || std::strlen(path) < 2 || std::strlen(path) >= sizeof address.sun_path) return;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  [[maybe_unused]] const ssize_t sent =
      ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), size);
  ::close(fd);
}

// SIGINT and SIGTERM, which only await() hears while this lives. Made before any thread is.
class StopSignals {
 public:
  StopSignals() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGINT);
    ::sigaddset(&signals_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The signal, or 0 when none came in time.
  int await(std::chrono::milliseconds time) const {
    const timespec patience{time.count() / 1000, time.count() % 1000 * 1'000'000};
    return std::max(0, ::sigtimedwait(&signals_, nullptr, &patience));
  }

 private:
  sigset_t signals_{};
};

HttpOptions http_options(const ServeOptions& options, bool has_keys) {
  for (const std::string& address : options.addresses) {
    if (!is_loopback(address) && !has_keys && !options.is_insecure) {
      throw UsageError(str("--host ", printable(address),
                           " lets other machines in, and there are no API keys. Give "
                           "--api-key-file FILE, or --insecure-bind if everybody may use the server."));
    }
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

std::string banner(const ServeOptions& options, std::uint16_t port, const ModelInfo& info, bool has_keys) {
  std::string text = str("carat ", version(), "\n  model      ", info.name);
  if (info.has_template) text += str(" (template ", info.template_revision, ")");
  text += str(", context ", info.context, " tokens, ", options.parallel, " answers at once\n");
  for (const std::string& address : options.addresses) {
    const bool is_v6 = address.find(':') != std::string::npos;
    text += str("  listening  ", options.tls_certificate.empty() ? "http" : "https", "://", is_v6 ? "[" : "", address,
                is_v6 ? "]" : "", ":", port, "\n");
  }
  text += "  interfaces OpenAI /v1, Ollama /api, Anthropic /v1/messages, web page /, description /openapi.json\n";
  text += has_keys ? "  API keys   needed\n" : "  API keys   none: whoever reaches this address may ask\n";
  return text;
}

// Answers that run are finished, for a while; a second signal ends them at once.
void stop(const ServeOptions& options, const StopSignals& signals, Service& service, HttpServer& server) {
  constexpr std::chrono::milliseconds kPoll{50};
  constexpr std::chrono::seconds kLastWords{2};
  notify_systemd("STOPPING=1");
  service.drain();
  server.drain();
  const auto wait_until = [&](std::chrono::steady_clock::time_point deadline) {
    while (server.open_exchanges() > 0 && std::chrono::steady_clock::now() < deadline) {
      if (const int second = signals.await(kPoll); second != 0) ::_exit(kExitSignalBase + second);
    }
  };
  wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(options.drain_timeout));
  service.cancel_answers();
  wait_until(std::chrono::steady_clock::now() + kLastWords);
}

void serve(const ServeOptions& options) {
  const StopSignals signals;
  const ServedModels catalogue(entries_of(options), options.aliases, options.is_lenient);
  ServiceOptions service_options;
  if (!options.key_file.empty()) service_options.access.keys = read_key_file(options.key_file);
  const bool has_keys = !service_options.access.keys.empty();
  const HttpOptions http = http_options(options, has_keys);
  service_options.access.allowed_hosts = options.hosts;
  service_options.access.allowed_origins = options.origins;
  service_options.is_lenient = options.is_lenient;
  service_options.max_body_bytes = options.max_body_mib * kMebibyte;
  service_options.version = version();
  if (options.log == "requests") service_options.log = [](const std::string& line) { write_stderr(line + "\n"); };

  const auto load = [&](const std::string& name) -> std::shared_ptr<Answerer> {
    const ModelEntry& entry = *catalogue.find(name);
    EngineOptions engine;
    engine.name = entry.name;
    engine.context = options.compute.context;
    engine.kv_budget = options.kv_budget_mib * kMebibyte;
    engine.max_running = options.parallel;
    engine.max_queued = options.queue;
    engine.kv_type = session_options(options.compute).kv_type;
    const bool is_default = entry.name == catalogue.default_model().name;
    const std::string mmproj = is_default && !options.mmproj.empty() ? options.mmproj : entry.mmproj;
    if (!options.engine.empty()) return make_scripted_answerer(entry.path, engine);
    return std::make_shared<Engine>(Model::load(entry.path, {.mmproj = mmproj}), compute_options(options.compute),
                                    engine);
  };
  ModelHost host(load, {std::chrono::seconds(options.keep_alive), options.max_loaded});
  Service service(catalogue, host, std::move(service_options));
  const auto server = listen(options, http, service.callbacks());
  service.set_connection_count([&] { return server->open_connections(); });

  // The server listens already: /livez answers while a model loads.
  const ModelInfo info = host.acquire(catalogue.default_model().name)->info();
  service.set_ready();
  write_stdout(banner(options, server->port(), info, has_keys));
  notify_systemd("READY=1");
  constexpr std::chrono::seconds kWatch{1};
  while (signals.await(kWatch) == 0) {
    if (service.is_healthy()) notify_systemd("WATCHDOG=1");
  }
  stop(options, signals, service, *server);
}

}  // namespace

void define_serve(CLI::App& root, Action& action) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App& verb = add_verb(root, "serve", "Serve models over HTTP: OpenAI's, Ollama's and Anthropic's interfaces",
                            "carat serve model.gguf --port 8080");
  verb.add_option("MODEL", options->models, "GGUF files or folders, each PATH or NAME=PATH; the first is the default")
      ->type_name("FILE");
  add_mmproj(verb, options->mmproj);
  verb.add_option("--host", options->addresses, "An address to listen at; may be given several times")
      ->type_name("ADDRESS")
      ->default_str("127.0.0.1");
  verb.add_option("--port", options->port, "The port; without it 11434, or a free one if that is taken")
      ->type_name("N");
  verb.add_option("--alias", options->aliases, "A further name of the first model; may be given several times")
      ->type_name("NAME");
  verb.add_flag("--lenient", options->is_lenient,
                "Answer for any model name, and pass over what would need stored conversations");
  verb.add_option("--engine", options->engine, "script:FILE answers from a script, for tests of clients")
      ->type_name("script:FILE");
  constexpr const char* kAccess = "Access";
  verb.add_option("--api-key-file", options->key_file, "Ask for one of the keys in this file, one a line")
      ->type_name("FILE")
      ->group(kAccess);
  verb.add_flag("--insecure-bind", options->is_insecure, "Listen to other machines without keys")->group(kAccess);
  verb.add_option("--allow-host", options->hosts, "A host name by which this server may be called")
      ->type_name("NAME")
      ->group(kAccess);
  verb.add_option("--cors-origin", options->origins, "Let pages of this origin ask (https://example.org)")
      ->type_name("ORIGIN")
      ->group(kAccess);
  verb.add_option("--tls-cert", options->tls_certificate, "HTTPS with this certificate (PEM)")
      ->type_name("FILE")
      ->group(kAccess);
  verb.add_option("--tls-key", options->tls_key, "The certificate's private key (PEM)")
      ->type_name("FILE")
      ->group(kAccess);
  constexpr const char* kLimits = "Limits";
  verb.add_option("--parallel", options->parallel, "Answers computed at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->type_name("N")
      ->group(kLimits);
  verb.add_option("--queue", options->queue, "Requests that may wait; more are refused (429)")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str()
      ->type_name("N")
      ->group(kLimits);
  verb.add_option("--kv-budget", options->kv_budget_mib,
                  "Most memory for keys and values, in MiB (default: a third of what is free)")
      ->type_name("N")
      ->group(kLimits);
  verb.add_option("--max-body", options->max_body_mib, "Most MiB of a request")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->type_name("N")
      ->group(kLimits);
  verb.add_option("--max-loaded", options->max_loaded, "Models in memory at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str()
      ->type_name("N")
      ->group(kLimits);
  verb.add_option("--keep-alive", options->keep_alive, "Seconds after which an unused model is unloaded; -1: never")
      ->capture_default_str()
      ->type_name("N")
      ->group(kLimits);
  verb.add_option("--drain-timeout", options->drain_timeout, "Seconds that running answers have to end after SIGTERM")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str()
      ->type_name("N")
      ->group(kLimits);
  verb.add_option("--log", options->log, "Requests as JSON lines on stderr, or nothing")
      ->check(CLI::IsMember({"requests", "none"}))
      ->capture_default_str();
  add_compute_flags(verb, options->compute);
  set_action(verb, action, options, serve);
}

}  // namespace carat
