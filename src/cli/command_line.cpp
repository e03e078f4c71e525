#include "cli/command_line.h"

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "cli/command_info.h"
#include "cli/error_details.h"
#include "cli/exit_code.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace carat {

namespace {

// The verb that was being parsed: the last one of a chain of subcommands.
CLI::App* innermost(CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

std::string path_of(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : path_of(app->get_parent()) + " " + app->get_name();
}

CommandInfo info_of(CLI::App* app) {
  return command_info(Command(app), app->get_parent() == nullptr ? "" : path_of(app->get_parent()) + " ");
}

// What CLI11 says about an argument it couldn't place, in our words.
std::string unexpected_argument(CLI::App* app) {
  const std::vector<std::string> left = app->remaining();
  const std::string word = left.empty() ? "" : left.front();
  const CommandInfo info = info_of(app);
  std::vector<std::string> known;
  for (const OptionInfo& option : info.options) known.insert(known.end(), option.names.begin(), option.names.end());
  for (const CommandInfo& command : info.commands) known.push_back(command.name);
  const auto meant = nearest_name(word, known);
  const bool is_option = word.starts_with("-");
  std::string what = str(is_option ? "unknown option \"" : "unexpected argument \"", printable(word), "\". ");
  if (meant) {
    what += str("Did you mean \"", *meant, "\"?");
  } else if (!is_option && !info.arguments.empty()) {
    what += "Put quotes around a text that holds blanks.";
  } else {
    what += str("See `", info.path, " --help`.");
  }
  return what;
}

void add_debug_flag(Command command, bool& is_debug) {
  const std::vector<CLI::App*> verbs = command.app().get_subcommands({});
  for (CLI::App* verb : verbs) add_debug_flag(Command(verb), is_debug);
  if (verbs.empty()) command.flag("--debug", is_debug, "On an error, say where in carat it arose, and on what machine");
}

// carat and its verbs, with --debug on each of these, so that it can be put behind a command that failed.
void define_carat(CLI::App& app, Action& action, bool& is_debug) {
  app.name("carat");
  app.description("Run Gemma models on your own machine");
  app.footer("carat run model.gguf \"Why is the sky blue?\"");
  app.get_help_ptr()->description("Print this help");
  app.set_version_flag("--version", std::string(version()), "Print the version");
  const Command root(&app);
  root.require_verb();
  define_run(root, action);
  define_serve(root, action);
  define_show(root, action);
  define_perplexity(root, action);
  define_transcribe(root, action);
  define_bench(root, action);
  define_convert(root, action);
  define_quantize(root, action);
  define_pull(root, action);
  define_list(root, action);
  define_rm(root, action);
  define_cp(root, action);
  define_prune(root, action);
  define_ps(root, action);
  define_stop(root, action);
  define_tokenize(root, action);
  define_embed(root, action);
  define_imatrix(root, action);
  define_plan(root, action);
  define_verify(root, action);
  define_doctor(root, action);
  define_debug(root, action);
  define_completion(root, action);
  define_man(root, action);
  define_help(root, action);
  define_version(root, action);
  add_debug_flag(root, is_debug);
}

}  // namespace

std::string_view version() {
  return CARAT_VERSION;
}

CommandInfo all_commands() {
  CLI::App app;
  Action action;
  bool is_debug = false;
  define_carat(app, action, is_debug);
  return command_info(Command(&app));
}

Action parse_command_line(const std::vector<std::string>& arguments) {
  // Actions refer to what was parsed, so it lives as long as they do.
  auto root = std::make_shared<CLI::App>();
  auto chosen = std::make_shared<Action>();
  auto is_debug = std::make_shared<bool>(false);
  define_carat(*root, *chosen, *is_debug);
  const auto with_help = [&](const std::exception& error) {
    return UsageError(str(error.what(), ".\nSee `", path_of(innermost(root.get())), " --help`."));
  };
  try {
    root->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    return [text = help_text(info_of(innermost(root.get())))] { write_stdout(text); };
  } catch (const CLI::CallForVersion&) {
    return [] { write_stdout(str("carat ", version(), "\n")); };
  } catch (const CLI::ExtrasError&) {
    throw UsageError(unexpected_argument(innermost(root.get())));
  } catch (const CLI::RequiredError& error) {
    CLI::App* app = innermost(root.get());
    const std::vector<std::string> left = app->remaining();
    if (!left.empty()) throw UsageError(unexpected_argument(app));
    if (!app->get_subcommands(nullptr).empty()) {
      throw UsageError(str("what is to be done?\n\n", help_text(info_of(app))));
    }
    throw UsageError(str(error.what(), ". Usage: ", usage_line(info_of(app)), "\nSee `", path_of(app), " --help`."));
  } catch (const UsageError& error) {  // of a function that was called with an option's value
    throw with_help(error);
  } catch (const CLI::ParseError& error) {
    throw with_help(error);
  }
  return [root, chosen, is_debug] {
    try {
      (*chosen)();
    } catch (const Error& error) {
      if (!*is_debug) throw;
      throw Error(error.kind(), str(error.what(), "\n", error_details(error)));
    }
  };
}

}  // namespace carat
