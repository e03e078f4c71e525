#include "cli/command_info.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "base/error.h"

namespace carat {

namespace {

constexpr std::size_t kNameColumn = 28;
constexpr std::size_t kLineColumns = 100;

// CLI11 words a type as "TEXT:{a,b}": the part in braces is what IsMember allows.
std::vector<std::string> choices_of(const std::string& type) {
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {};
  std::vector<std::string> choices;
  std::istringstream list(type.substr(open + 1, close - open - 1));
  for (std::string choice; std::getline(list, choice, ',');) choices.push_back(choice);
  return choices;
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : std::string(separator)) + part;
  return out;
}

OptionInfo option_info(const CLI::Option& option) {
  OptionInfo info;
  if (option.get_positional()) {
    info.names = {option.get_name(true)};
  } else {
    for (const std::string& name : option.get_snames()) info.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) info.names.push_back("--" + name);
  }
  const std::string type = option.get_type_name();
  info.choices = choices_of(type);
  const bool is_flag = option.get_items_expected_max() == 0;
  if (!is_flag) info.value = info.choices.empty() ? type.substr(0, type.find(':')) : joined(info.choices, "|");
  info.is_file = info.value == "FILE" || info.value == "FOLDER";
  info.is_required = option.get_required();
  info.what = option.get_description();
  info.group = option.get_group();
  if (!is_flag && !option.get_default_str().empty()) info.what += str(" (default: ", option.get_default_str(), ")");
  return info;
}

// Appends text, broken at blanks into lines that begin at column `indent`.
void append_wrapped(std::string& out, const std::string& text, std::size_t indent) {
  std::istringstream words(text);
  std::size_t column = indent;
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > kLineColumns) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  out += '\n';
}

void append_entry(std::string& out, const std::string& name, const std::string& what) {
  out += "  " + name;
  if (name.size() + 4 > kNameColumn) {
    out += '\n';
    out.append(kNameColumn, ' ');
  } else {
    out.append(kNameColumn - name.size() - 2, ' ');
  }
  append_wrapped(out, what, kNameColumn);
}

}  // namespace

CommandInfo command_info(Command command, const std::string& prefix) {
  const CLI::App& app = command.app();
  CommandInfo info;
  info.name = app.get_name();
  info.path = prefix + info.name;
  info.what = app.get_description();
  info.example = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    (option->get_positional() ? info.arguments : info.options).push_back(option_info(*option));
  }
  // --help is every application's first option; people look for their own first.
  std::stable_partition(info.options.begin(), info.options.end(),
                        [](const OptionInfo& option) { return option.names.back() != "--help"; });
  for (CLI::App* sub : command.app().get_subcommands(nullptr)) {
    info.commands.push_back(command_info(Command(sub), info.path + " "));
  }
  return info;
}

std::vector<const CommandInfo*> with_descendants(const CommandInfo& root) {
  std::vector<const CommandInfo*> all{&root};
  for (const CommandInfo& command : root.commands) {
    const auto below = with_descendants(command);
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

std::string usage_line(const CommandInfo& command) {
  std::string out = command.path;
  if (!command.options.empty()) out += " [OPTIONS]";
  for (const OptionInfo& argument : command.arguments) {
    out += argument.is_required ? " " + argument.names[0] : " [" + argument.names[0] + "]";
  }
  if (!command.commands.empty()) out += " COMMAND";
  return out;
}

std::string help_text(const CommandInfo& command) {
  std::string out;
  append_wrapped(out, command.what, 0);
  out += str("\nUsage: ", usage_line(command), "\n");
  if (!command.commands.empty()) {
    out += "\nCommands:\n";
    for (const CommandInfo& sub : command.commands) append_entry(out, sub.name, sub.what);
  }
  if (!command.arguments.empty()) {
    out += "\nArguments:\n";
    for (const OptionInfo& argument : command.arguments) append_entry(out, argument.names[0], argument.what);
  }
  std::vector<std::string> groups;
  for (const OptionInfo& option : command.options) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
  }
  for (const std::string& group : groups) {
    out += str("\n", group, ":\n");
    for (const OptionInfo& option : command.options) {
      if (option.group != group) continue;
      std::string name = joined(option.names, ", ");
      if (!option.value.empty()) name += " " + option.value;
      append_entry(out, name, option.what);
    }
  }
  if (!command.example.empty()) out += str("\nExample:\n  ", command.example, "\n");
  return out;
}

}  // namespace carat
