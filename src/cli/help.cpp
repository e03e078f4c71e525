// `carat help`, `man`, `completion` and `version`: what the command line says of itself.
#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "cli/command_info.h"
#include "cli/command_line.h"
#include "cli/completion.h"
#include "cli/man_page.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
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

}  // namespace

void define_help(Command root, Action& action) {
  auto words = std::make_shared<std::vector<std::string>>();
  const Command verb = root.add_verb("help", "Explain a command", "carat help run");
  verb.option("COMMAND", *words, "The command").value("WORD");
  set_action(verb, action, words, [root](const std::vector<std::string>& path) {
    const CommandInfo info = command_info(root);
    write_stdout(help_text(find_command(info, path)));
  });
}

void define_version(Command root, Action& action) {
  const Command verb = root.add_verb("version", "Print the version", "carat version");
  verb.when_chosen([&action] { action = [] { write_stdout(str("carat ", version(), "\n")); }; });
}

void define_completion(Command root, Action& action) {
  auto shell = std::make_shared<std::string>();
  const Command verb = root.add_verb("completion", "Print a completion script for a shell",
                                     "carat completion bash > ~/.local/share/bash-completion/completions/carat");
  verb.option("SHELL", *shell, "Which shell").required().one_of({"bash", "zsh", "fish"});
  set_action(verb, action, shell, [root](const std::string& name) {
    const CommandInfo info = command_info(root);
    write_stdout(name == "bash" ? bash_completion(info) : name == "zsh" ? zsh_completion(info) : fish_completion(info));
  });
}

void define_man(Command root, Action& action) {
  struct ManFlags {
    std::vector<std::string> words;
    std::string folder;
  };
  auto flags = std::make_shared<ManFlags>();
  const Command verb = root.add_verb("man", "Print a manual page in roff", "carat man run | man -l -");
  const Option command = verb.option("COMMAND", flags->words, "The command; carat itself without").value("WORD");
  verb.option("--all", flags->folder, "Write the pages of all commands into a folder instead")
      .excludes(command)
      .value("FOLDER");
  set_action(verb, action, flags, [root](const ManFlags& given) {
    const CommandInfo info = command_info(root);
    if (given.folder.empty()) return write_stdout(man_page(find_command(info, given.words), info, version()));
    const std::filesystem::path folder = given.folder;
    write_file_atomically(folder / "carat.1", man_page(info, info, version()));
    for (const CommandInfo& sub : info.commands) {
      write_file_atomically(folder / str("carat-", sub.name, ".1"), man_page(sub, info, version()));
    }
  });
}

}  // namespace carat
