#include "cli/completion.h"

#include <algorithm>

#include "base/error.h"

namespace carat {

namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : " ") + part;
  return out;
}

// text between single quotes, as all three shells read it; fish knows \' within, the others need '\''.
std::string quoted(std::string_view text, std::string_view quote_mark) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += quote_mark;
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::vector<std::string> command_names(const CommandInfo& command) {
  std::vector<std::string> names;
  for (const CommandInfo& sub : command.commands) names.push_back(sub.name);
  return names;
}

std::vector<std::string> argument_choices(const CommandInfo& command) {
  return command.arguments.empty() ? std::vector<std::string>{} : command.arguments[0].choices;
}

bool wants_file(const CommandInfo& command) {
  return std::any_of(command.arguments.begin(), command.arguments.end(),
                     [](const OptionInfo& argument) { return argument.is_file; });
}

// The lines of a `case` that follows the words typed so far: at="carat debug" and word "tokenize" gives
// "carat debug tokenize". The same in bash and zsh.
std::string descend_patterns(const CommandInfo& root) {
  std::string patterns;
  for (const CommandInfo* command : with_descendants(root)) {
    if (command == &root) continue;
    patterns += (patterns.empty() ? "" : " | ") + str("\"", command->path, "\"");
  }
  return patterns;
}

// The `case` patterns of an option after its command: "carat run -t" | "carat run --threads".
std::string option_pattern(const CommandInfo& command, const OptionInfo& option) {
  std::string pattern;
  for (const std::string& name : option.names) {
    pattern += (pattern.empty() ? "" : " | ") + str("\"", command.path, " ", name, "\"");
  }
  return pattern;
}

}  // namespace

std::string bash_completion(const CommandInfo& root) {
  std::string out = R"(# bash completion for carat: source it, or install it as
# /usr/share/bash-completion/completions/carat
_carat() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" at=carat word
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
      )";
  out += descend_patterns(root) + ") at=\"$at $word\" ;;\n    esac\n  done\n  case \"$at $previous\" in\n";
  for (const CommandInfo* command : with_descendants(root)) {
    for (const OptionInfo& option : command->options) {
      if (option.value.empty()) continue;
      out += "    " + option_pattern(*command, option) + ") ";
      if (option.is_file) {
        out += "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$current\")); ";
      } else if (!option.choices.empty()) {
        out += "COMPREPLY=($(compgen -W \"" + joined(option.choices) + "\" -- \"$current\")); ";
      }
      out += "return ;;\n";
    }
  }
  out += "  esac\n  local options='' words='' files=''\n  case \"$at\" in\n";
  for (const CommandInfo* command : with_descendants(root)) {
    std::vector<std::string> options;
    for (const OptionInfo& option : command->options) {
      options.insert(options.end(), option.names.begin(), option.names.end());
    }
    std::vector<std::string> words = command_names(*command);
    const std::vector<std::string> choices = argument_choices(*command);
    words.insert(words.end(), choices.begin(), choices.end());
    out += str("    \"", command->path, "\") options='", joined(options), "' words='", joined(words),
               "' files=", wants_file(*command) ? "yes" : "", " ;;\n");
  }
  out += R"(  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ -n $files ]]; then
    compopt -o filenames
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -F _carat carat
)";
  return out;
}

std::string zsh_completion(const CommandInfo& root) {
  // In _describe's lists a colon parts a name from what is said about it.
  const auto described = [](const std::string& name, const std::string& what) {
    return quoted(name + ":" + what, "'\\''");
  };
  std::string out = R"(#compdef carat
# zsh completion for carat: put it as _carat into a folder of $fpath
_carat() {
  local at=carat word
  local -a options words_here
  local files=''
  for word in "${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      )";
  out += descend_patterns(root) + ") at=\"$at $word\" ;;\n    esac\n  done\n  case \"$at ${words[CURRENT-1]}\" in\n";
  for (const CommandInfo* command : with_descendants(root)) {
    for (const OptionInfo& option : command->options) {
      if (option.value.empty()) continue;
      out += "    " + option_pattern(*command, option) + ") ";
      if (option.is_file) {
        out += "_files";
      } else if (!option.choices.empty()) {
        out += "compadd -- " + joined(option.choices);
      } else {
        out += "_message " + quoted(option.value, "'\\''");
      }
      out += "; return ;;\n";
    }
  }
  out += "  esac\n  case \"$at\" in\n";
  for (const CommandInfo* command : with_descendants(root)) {
    out += str("    \"", command->path, "\")\n      options=(");
    for (const OptionInfo& option : command->options) {
      for (const std::string& name : option.names) out += described(name, option.what) + " ";
    }
    out += ")\n      words_here=(";
    for (const CommandInfo& sub : command->commands) out += described(sub.name, sub.what) + " ";
    for (const std::string& choice : argument_choices(*command)) out += quoted(choice, "'\\''") + " ";
    out += str(")\n      files=", wants_file(*command) ? "yes" : "", " ;;\n");
  }
  out += R"(  esac
  if [[ ${words[CURRENT]} == -* ]]; then
    _describe option options
  elif [[ -n $files ]]; then
    _files
  else
    _describe command words_here
  fi
}
if [[ ${funcstack[1]} == _carat ]]; then _carat "$@"; else compdef _carat carat; fi
)";
  return out;
}

std::string fish_completion(const CommandInfo& root) {
  std::string out = R"(# fish completion for carat: install it as ~/.config/fish/completions/carat.fish
function __carat_at
    set -l at carat
    for word in (commandline -opc)[2..-1]
        if contains -- "$at $word" )";
  for (const CommandInfo* command : with_descendants(root)) {
    if (command != &root) out += quoted(command->path, "\\'") + " ";
  }
  out += R"(
            set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c carat -f
)";
  for (const CommandInfo* command : with_descendants(root)) {
    const std::string here = "complete -c carat -n \"__carat_at '" + command->path + "'\"";
    for (const CommandInfo& sub : command->commands) {
      out += here + " -a " + sub.name + " -d " + quoted(sub.what, "\\'") + "\n";
    }
    const std::vector<std::string> choices = argument_choices(*command);
    if (!choices.empty()) out += here + " -a " + quoted(joined(choices), "\\'") + "\n";
    if (wants_file(*command)) out += here + " -F\n";
    for (const OptionInfo& option : command->options) {
      out += here;
      for (const std::string& name : option.names) {
        out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!option.value.empty()) out += option.is_file ? " -rF" : " -x";
      if (!option.choices.empty()) out += " -a " + quoted(joined(option.choices), "\\'");
      out += " -d " + quoted(option.what, "\\'") + "\n";
    }
  }
  return out;
}

}  // namespace carat
