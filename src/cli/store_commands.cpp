// `carat pull`, `list`, `rm`, `cp` and `prune`: the models on this machine.
#include <algorithm>
#include <ctime>
#include <iomanip>
#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "cli/progress_bar.h"
#include "cli/pull_model.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "store/catalogue.h"
#include "store/model_store.h"
#include "store/prune.h"

namespace carat {
namespace {

struct PullFlags {
  std::string name;
  PullOptions options{};
  bool is_json = false;
};

void run_pull(const PullFlags& flags) {
  const PullResult result = pull_model(flags.name, flags.options, flags.is_json);
  if (flags.is_json) {
    json::object out{{"name", flags.name},
                     {"path", result.model.path.string()},
                     {"bytes", result.bytes},
                     {"downloaded", result.downloaded}};
    if (!result.model.projector.empty()) out["projector"] = result.model.projector.string();
    write_stdout(json::serialize(out) + "\n");
  } else {
    write_stdout(str(result.model.path.string(), "\n"));
  }
}

struct ListFlags {
  bool is_json = false;
  bool is_all = false;
};

std::string date_text(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  localtime_r(&time, &parts);
  std::ostringstream out;
  out << std::put_time(&parts, "%Y-%m-%d %H:%M");
  return out.str();
}

void list_catalogue(bool is_json) {
  std::ostringstream text;
  json::array array;
  const Catalogue catalogue = Catalogue::load();
  for (const CatalogueEntry& entry : catalogue.entries()) {
    text << std::left << std::setw(24) << entry.name << std::right << std::setw(10)
         << (entry.size_bytes == 0 ? "" : bytes_text(entry.size_bytes)) << "  " << std::left << std::setw(12)
         << entry.license << (entry.is_shared() ? "comes with carat" : entry.source) << '\n';
    array.push_back({{"name", entry.name},
                     {"source", entry.source},
                     {"revision", entry.revision},
                     {"size_bytes", entry.size_bytes},
                     {"license", entry.license}});
  }
  write_stdout(is_json ? json::serialize(array) + "\n" : text.str());
}

void run_list(const ListFlags& flags) {
  if (flags.is_all) return list_catalogue(flags.is_json);
  const std::vector<ListedModel> models = list_models();
  if (flags.is_json) {
    json::array array;
    for (const ListedModel& model : models) {
      array.push_back({{"name", model.name},
                       {"path", model.path.string()},
                       {"bytes", model.bytes},
                       {"modified", model.modified_seconds}});
    }
    write_stdout(json::serialize(array) + "\n");
    return;
  }
  if (models.empty()) {
    write_stderr("No models yet. Get one: carat pull gemma4:e2b\n");
    return;
  }
  std::size_t width = 0;
  for (const ListedModel& model : models) width = std::max(width, model.name.size());
  std::ostringstream out;
  for (const ListedModel& model : models) {
    out << std::left << std::setw(static_cast<int>(width) + 2) << printable(model.name, 200) << std::right
        << std::setw(10) << bytes_text(model.bytes) << "  " << date_text(model.modified_seconds) << '\n';
  }
  write_stdout(out.str());
}

}  // namespace

void define_pull(Command root, Action& action) {
  auto flags = std::make_shared<PullFlags>();
  const Command verb = root.add_verb("pull", "Get a model", "carat pull gemma4:e2b");
  verb.option("NAME", flags->name,
              "gemma4:e2b and the like, hf.co/OWNER/REPO[:FILE|:QUANT], ollama.com/NAME:TAG, or "
              "kaggle.com/OWNER/MODEL/FRAMEWORK/VARIATION")
      .required()
      .value("NAME");
  verb.option("--token", flags->options.download.token, "Token of your account (default: HF_TOKEN)").value("TOKEN");
  verb.clearing_flag("--no-mmproj", flags->options.has_projector, "Leave the vision and audio towers out");
  verb.option("--connections", flags->options.download.connections, "Connections at a time")
      .range(1, 32)
      .with_default()
      .value("N");
  verb.option("--retries", flags->options.download.retries, "Attempts in a row that may bring nothing")
      .range(0, 1000)
      .with_default()
      .value("N");
  verb.option("--retry-wait", flags->options.download.retry_seconds,
              "Seconds before the first retry; then twice as long each time")
      .range(0.0, 60.0)
      .with_default()
      .value("S");
  verb.flag("--json", flags->is_json, "Print progress, and at the end the path, as JSON");
  set_action(verb, action, flags, run_pull);
}

void define_list(Command root, Action& action) {
  auto flags = std::make_shared<ListFlags>();
  const Command verb = root.add_verb("list", "List the models on this machine", "carat list");
  verb.alias("ls");
  verb.flag("--all", flags->is_all, "List the names that can be pulled instead");
  verb.flag("--json", flags->is_json, "Print JSON");
  set_action(verb, action, flags, run_list);
}

void define_rm(Command root, Action& action) {
  auto name = std::make_shared<std::string>();
  const Command verb = root.add_verb("rm", "Remove a model from this machine", "carat rm gemma4:e2b");
  verb.option("NAME", *name, "The model").required().value("NAME");
  set_action(verb, action, name,
             [](const std::string& model) { write_stderr(str("freed ", bytes_text(remove_model(model)), "\n")); });
}

void define_cp(Command root, Action& action) {
  struct Names {
    std::string from, to;
  };
  auto names = std::make_shared<Names>();
  const Command verb = root.add_verb("cp", "Give a model another name", "carat cp gemma4:e2b assistant");
  verb.option("NAME", names->from, "The model: a name, a reference or a path").required().value("NAME");
  verb.option("NEW", names->to, "The new name").required().value("NAME");
  set_action(verb, action, names, [](const Names& both) { copy_model(both.from, both.to); });
}

void define_prune(Command root, Action& action) {
  auto is_dry = std::make_shared<bool>(false);
  const Command verb = root.add_verb("prune", "Remove what given-up pulls and changed models have left in the store",
                                     "carat prune --dry-run");
  verb.flag("--dry-run", *is_dry, "Only say what would be removed");
  set_action(verb, action, is_dry, [](bool dry) {
    std::uint64_t freed = 0;
    for (const Leftover& leftover : find_leftovers()) {
      freed += dry ? leftover.bytes : remove_leftover(leftover);
      write_stdout(str(leftover.path.string(), "  ", bytes_text(leftover.bytes),
                       leftover.is_partial ? "  half a download" : "  of no model", "\n"));
    }
    write_stderr(str(dry ? "would free " : "freed ", bytes_text(freed), "\n"));
  });
}

}  // namespace carat
