#include "cli/command_line.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "cli/command_info.h"
#include "cli/completion.h"
#include "cli/error_details.h"
#include "cli/exit_code.h"
#include "cli/man_page.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "store/atomic_file.h"

namespace carat {

namespace {

// The verb, below root, that the words name: {"debug", "tokenize"}. Throws UsageError where there is none.
const CommandInfo& find_command(const CommandInfo& root, const std::vector<std::string>& words) {
  const CommandInfo* at = &root;
  for (const std::string& word : words) {
    const auto found = std::find_if(at->commands.begin(), at->commands.end(),
                                    [&](const CommandInfo& command) { return command.name == word; });
    if (found == at->commands.end()) {
      std::vector<std::string> names;
      for (const CommandInfo& command : at->commands) names.push_back(command.name);
      const auto meant = nearest_name(word, names);
      throw UsageError(str("\"", at->path, "\" has no command \"", printable(word), "\". ",
                           meant ? str("Did you mean \"", *meant, "\"?") : str("See `", at->path, " --help`.")));
    }
    at = &*found;
  }
  return *at;
}

// The verb that was being parsed: the last one of a chain of subcommands.
const CLI::App* innermost(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

std::string path_of(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : path_of(app->get_parent()) + " " + app->get_name();
}

CommandInfo info_of(const CLI::App* app) {
  return command_info(*app, app->get_parent() == nullptr ? "" : path_of(app->get_parent()) + " ");
}

// What CLI11 says about an argument it couldn't place, in our words.
std::string unexpected_argument(const CLI::App* app) {
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

// --debug on each verb, so that it can be put behind a command that failed.
void add_debug_flag(CLI::App& app, bool& is_debug) {
  const std::vector<CLI::App*> verbs = app.get_subcommands({});
  for (CLI::App* verb : verbs) add_debug_flag(*verb, is_debug);
  if (verbs.empty()) app.add_flag("--debug", is_debug, "On an error, say where in carat it arose, and on what machine");
}

}  // namespace

std::string_view version() {
  return CARAT_VERSION;
}

CLI::App& add_verb(CLI::App& parent, const char* name, const char* what, const char* example) {
  CLI::App* verb = parent.add_subcommand(name, what);
  verb->footer(example);
  verb->get_help_ptr()->description("Print this help");
  return *verb;
}

void define_help(CLI::App& root, Action& action) {
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App& verb = add_verb(root, "help", "Explain a command", "carat help run");
  verb.add_option("COMMAND", *words, "The command")->type_name("WORD");
  set_action(verb, action, words, [&root](const std::vector<std::string>& path) {
    const CommandInfo info = command_info(root);
    write_stdout(help_text(find_command(info, path)));
  });
}

void define_version(CLI::App& root, Action& action) {
  CLI::App& verb = add_verb(root, "version", "Print the version", "carat version");
  verb.callback([&action] { action = [] { write_stdout(str("carat ", version(), "\n")); }; });
}

void define_completion(CLI::App& root, Action& action) {
  auto shell = std::make_shared<std::string>();
  CLI::App& verb = add_verb(root, "completion", "Print a completion script for a shell",
                            "carat completion bash > ~/.local/share/bash-completion/completions/carat");
  verb.add_option("SHELL", *shell, "Which shell")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  set_action(verb, action, shell, [&root](const std::string& name) {
    const CommandInfo info = command_info(root);
    write_stdout(name == "bash" ? bash_completion(info) : name == "zsh" ? zsh_completion(info) : fish_completion(info));
  });
}

void define_man(CLI::App& root, Action& action) {
  struct ManFlags {
    std::vector<std::string> words;
    std::string folder;
  };
  auto flags = std::make_shared<ManFlags>();
  CLI::App& verb = add_verb(root, "man", "Print a manual page in roff", "carat man run | man -l -");
  CLI::Option* command = verb.add_option("COMMAND", flags->words, "The command; carat itself without");
  command->type_name("WORD");
  verb.add_option("--all", flags->folder, "Write the pages of all commands into a folder instead")
      ->excludes(command)
      ->type_name("FOLDER");
  set_action(verb, action, flags, [&root](const ManFlags& given) {
    const CommandInfo info = command_info(root);
    if (given.folder.empty()) return write_stdout(man_page(find_command(info, given.words), info, version()));
    const std::filesystem::path folder = given.folder;
    write_file_atomically(folder / "carat.1", man_page(info, info, version()));
    for (const CommandInfo& sub : info.commands) {
      write_file_atomically(folder / str("carat-", sub.name, ".1"), man_page(sub, info, version()));
    }
  });
}

void define_commands(CLI::App& root, Action& action) {
  root.name("carat");
  root.description("Run Gemma models on your own machine");
  root.footer("carat run model.gguf \"Why is the sky blue?\"");
  root.get_help_ptr()->description("Print this help");
  root.set_version_flag("--version", std::string(version()), "Print the version");
  root.require_subcommand(1);
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
}

Action parse_command_line(const std::vector<std::string>& arguments) {
  Action action;
  // Actions refer to what was parsed, so it lives as long as they do.
  auto root = std::make_shared<CLI::App>();
  auto chosen = std::make_shared<Action>();
  auto is_debug = std::make_shared<bool>(false);
  define_commands(*root, *chosen);
  add_debug_flag(*root, *is_debug);
  try {
    root->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    return [text = help_text(info_of(innermost(root.get())))] { write_stdout(text); };
  } catch (const CLI::CallForVersion&) {
    return [] { write_stdout(str("carat ", version(), "\n")); };
  } catch (const CLI::ExtrasError&) {
    throw UsageError(unexpected_argument(innermost(root.get())));
  } catch (const CLI::RequiredError& error) {
    const CLI::App* app = innermost(root.get());
    const std::vector<std::string> left = app->remaining();
    if (!left.empty()) throw UsageError(unexpected_argument(app));
    if (!app->get_subcommands(nullptr).empty()) {
      throw UsageError(str("what is to be done?\n\n", help_text(info_of(app))));
    }
    throw UsageError(str(error.what(), ". Usage: ", usage_line(info_of(app)), "\nSee `", path_of(app), " --help`."));
  } catch (const CLI::ParseError& error) {
    throw UsageError(str(error.what(), ".\nSee `", path_of(innermost(root.get())), " --help`."));
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
