#include "cli/man_page.h"

#include "base/error.h"
#include "cli/exit_code.h"

namespace carat {

namespace {

// Text for roff: backslashes and dashes escaped, no line that begins with a control character.
std::string roff(std::string_view text) {
  std::string out;
  bool is_line_start = true;
  for (const char c : text) {
    if (is_line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    is_line_start = c == '\n';
  }
  return out;
}

std::string dashed(std::string_view path) {
  std::string out(path);
  for (char& c : out) {
    if (c == ' ') c = '-';
  }
  return out;
}

void append_entry(std::string& out, const OptionInfo& option) {
  out += ".TP\n";
  std::string names;
  for (const std::string& name : option.names) names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  if (!option.value.empty() && option.names[0].starts_with("-")) names += " \\fI" + roff(option.value) + "\\fR";
  out += names + "\n" + roff(option.what) + ".\n";
}

void append_synopsis(std::string& out, const CommandInfo& command) {
  out += ".B " + roff(command.path) + "\n";
  std::string rest = command.options.empty() ? "" : "[\\fIOPTIONS\\fR] ";
  for (const OptionInfo& argument : command.arguments) {
    const std::string name = "\\fI" + roff(argument.names[0]) + "\\fR";
    rest += (argument.is_required ? name : "[" + name + "]") + " ";
  }
  if (!command.commands.empty()) rest += "\\fICOMMAND\\fR ";
  out += rest + "\n";
}

void append_options(std::string& out, const CommandInfo& command) {
  for (const OptionInfo& argument : command.arguments) append_entry(out, argument);
  for (const OptionInfo& option : command.options) append_entry(out, option);
}

void append_example(std::string& out, const CommandInfo& command) {
  if (!command.example.empty()) out += ".PP\n.EX\n" + roff(command.example) + "\n.EE\n";
}

}  // namespace

std::string man_page(const CommandInfo& command, const CommandInfo& root, std::string_view version) {
  const bool is_root = command.path == root.path;
  std::string title = dashed(command.path);
  for (char& c : title) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);

  std::string out = str(".TH ", roff(title), " 1 \"\" \"carat ", roff(version), "\" \"User Commands\"\n");
  out += ".SH NAME\n" + roff(dashed(command.path)) + " \\- " + roff(command.what) + "\n.SH SYNOPSIS\n";
  append_synopsis(out, command);
  out += ".SH DESCRIPTION\n" + roff(command.what) + ".\n";
  append_example(out, command);
  if (!command.options.empty() || !command.arguments.empty()) {
    out += ".SH OPTIONS\n";
    append_options(out, command);
  }
  if (!command.commands.empty()) {
    out += ".SH COMMANDS\n";
    for (const CommandInfo& sub : command.commands) {
      if (is_root) {
        out += ".TP\n\\fB" + roff(sub.path) + "\\fR\n" + roff(sub.what) + ".\n";
        continue;
      }
      out += ".SS " + roff(sub.path) + "\n";
      append_synopsis(out, sub);
      out += ".PP\n" + roff(sub.what) + ".\n";
      append_example(out, sub);
      append_options(out, sub);
    }
  }
  out += ".SH EXIT STATUS\n";
  for (const ExitCodeInfo& code : kExitCodes) {
    out += str(".TP\n\\fB", code.code, "\\fR\n", roff(code.meaning), ".\n");
  }
  out += ".SH ENVIRONMENT\n.TP\n\\fBCARAT_ISA\\fR\n";
  out += "Instruction set to compute with, as \\fBcarat show \\-\\-cpu\\fR lists them.\n";
  out += ".TP\n\\fBCARAT_MODELS\\fR\nFolder that models are pulled into.\n";
  out += ".TP\n\\fBCARAT_DATA\\fR\nFolder of what comes with carat, such as \\fIdemo.gguf\\fR, if it was moved.\n";
  out += ".TP\n\\fBNO_COLOR\\fR\nNo colours unless \\fB\\-\\-color always\\fR is given.\n";
  if (is_root || command.name == "run") {
    out += ".SH FILES\n.TP\n\\fI$XDG_STATE_HOME/carat/history\\fR\n";
    out += "What was typed in interactive chats (without the variable: \\fI~/.local/state/carat/history\\fR).\n";
  }
  out += ".SH SEE ALSO\n";
  std::string others;
  if (!is_root) others = ".BR " + roff(root.path) + " (1)";
  for (const CommandInfo& sub : root.commands) {
    if (sub.path == command.path) continue;
    others += (others.empty() ? "" : " ,\n") + (".BR " + roff(dashed(sub.path)) + " (1)");
  }
  return out + others + "\n";
}

}  // namespace carat
