// `carat ps` and `carat stop`: the models that a running server has in memory.
#include <iomanip>
#include <sstream>

#include "cli/local_server.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace carat {
namespace {

struct PsFlags {
  ServerFlags server{};
  bool is_json = false;
};

void run_ps(const PsFlags& flags) {
  const json::object answer = LocalServer(flags.server).get("/api/ps");
  const json::array* models = find_array(answer, "models", "the server's answer");
  if (flags.is_json) {
    write_stdout(json::serialize(models != nullptr ? json::value(*models) : json::array()) + "\n");
    return;
  }
  if (models == nullptr || models->empty()) {
    write_stderr("The server has no model in memory. It loads one when it is asked for.\n");
    return;
  }
  std::ostringstream out;
  for (const json::value& value : *models) {
    const json::object& model = value.as_object();
    const auto text = [&](std::string_view key) { return find_string(model, key, "model").value_or(""); };
    out << std::left << std::setw(32) << printable(text("name"), 200) << std::right << std::setw(10)
        << bytes_text(static_cast<std::uint64_t>(find_integer(model, "size", "model").value_or(0))) << "  context "
        << find_integer(model, "context_length", "model").value_or(0) << ", until " << printable(text("expires_at"), 40)
        << '\n';
  }
  write_stdout(out.str());
}

struct StopFlags {
  ServerFlags server{};
  std::string model;
};

void run_stop(const StopFlags& flags) {
  const LocalServer server(flags.server);
  server.post("/api/generate", {{"model", flags.model}, {"keep_alive", 0}});
  write_stderr(printable(flags.model, 200) + " is out of memory once its answers have ended\n");
}

}  // namespace

void define_ps(Command root, Action& action) {
  auto flags = std::make_shared<PsFlags>();
  const Command verb = root.add_verb("ps", "List the models that a running server has in memory", "carat ps");
  add_server_flags(verb, flags->server);
  verb.flag("--json", flags->is_json, "Print JSON");
  set_action(verb, action, flags, run_ps);
}

void define_stop(Command root, Action& action) {
  auto flags = std::make_shared<StopFlags>();
  const Command verb = root.add_verb("stop", "Take a model out of a running server's memory", "carat stop gemma4:e2b");
  verb.option("NAME", flags->model, "The model").required().value("NAME");
  add_server_flags(verb, flags->server);
  set_action(verb, action, flags, run_stop);
}

}  // namespace carat
