#include "cli/path_completion.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/unicode.h"

namespace carat {

std::string expand_home(std::string_view path) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || !(path == "~" || path.starts_with("~/"))) return std::string(path);
  return std::string(home) + std::string(path.substr(1));
}

std::vector<std::string> complete_path(std::string_view beginning) {
  if (beginning == "~") return {"~/"};
  const std::size_t slash = beginning.rfind('/');
  const std::string folder(slash == std::string_view::npos ? "" : beginning.substr(0, slash + 1));
  const std::string_view name = beginning.substr(folder.size());

  std::vector<std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder.empty() ? "." : expand_home(folder), error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string candidate = entry->path().filename().string();
    if (!candidate.starts_with(name) || (candidate.starts_with('.') && !name.starts_with('.'))) continue;
    // A line holds text that can be shown and edited.
    const bool is_plain = std::none_of(candidate.begin(), candidate.end(),
                                       [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
    if (!is_plain || !is_valid_utf8(candidate)) continue;
    std::error_code ignored;
    found.push_back(folder + candidate + (entry->is_directory(ignored) ? "/" : ""));
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace carat
