#include "cli/pull_model.h"

#include <iostream>

#include "base/error.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"

namespace carat {

PullResult pull_model(const std::string& name, const PullOptions& options, bool is_json) {
  PullOptions noted = options;
  noted.on_note = [](const std::string& text) { write_stderr(str("\r\x1b[K", text, "\n")); };
  if (!stderr_is_terminal()) noted.on_note = [](const std::string& text) { write_stderr(text + "\n"); };
  ProgressBar bar("Pulling " + printable(name), is_json);
  try {
    return pull(name, noted, bar.callback());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCancelled) throw;
    throw Error(ErrorKind::kCancelled, "stopped; pulling again goes on from here");
  }
}

StoredModel model_files(const std::string& name) {
  const bool can_ask = stdin_is_terminal() && stderr_is_terminal();
  if (!can_ask) return find_model(name);
  if (const auto model = model_at(name)) return *model;
  const ResolvedName resolved = resolve_name(name);
  if (resolved.model) return *resolved.model;
  write_stderr(str("\"", printable(name, 200), "\" is not on this machine. Pull it from ", resolved.reference->text(),
                   "? [Y/n] "));
  std::string answer;
  if (!std::getline(std::cin, answer) || (!answer.empty() && answer[0] != 'y' && answer[0] != 'Y')) {
    return find_model(name);  // says how to get it
  }
  return pull_model(name, {}, false).model;
}

}  // namespace carat
