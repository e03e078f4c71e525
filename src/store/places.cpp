#include "store/places.h"

#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets variables
  return value == nullptr ? std::string() : std::string(value);
}

fs::path home() {
  const std::string home = variable("HOME");
  if (home.empty()) {
    throw Error(ErrorKind::kBadInput, "HOME is not set, so there is no place for models. Set it, or CARAT_MODELS.");
  }
  return home;
}

fs::path xdg(const char* name, const char* otherwise) {
  const std::string set = variable(name);
  return set.empty() || !fs::path(set).is_absolute() ? home() / otherwise : fs::path(set);
}

fs::path hub_home() {
  const std::string set = variable("HF_HOME");
  return set.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "huggingface" : fs::path(set);
}

std::string url_or(const char* name, std::string_view otherwise) {
  std::string url = variable(name);
  if (url.empty()) url = otherwise;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

bool is_set(const char* name) {
  const std::string value = variable(name);
  return !value.empty() && value != "0" && value != "false" && value != "no";
}

// The first word of a file; empty where it can't be read.
std::string token_in(const fs::path& path) {
  constexpr std::uint64_t kMaxBytes = 4096;
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return {};
  const std::string text = read_text_file(path, kMaxBytes);
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_first_of(" \t\r\n", begin) - begin);
}

}  // namespace

fs::path hub_cache() {
  for (const char* name : {"CARAT_MODELS", "HF_HUB_CACHE"}) {
    const std::string set = variable(name);
    if (!set.empty()) return set;
  }
  return hub_home() / "hub";
}

fs::path registry_cache() {
  const std::string set = variable("CARAT_MODELS");
  return set.empty() ? xdg("XDG_CACHE_HOME", ".cache") / "carat" / "registries" : fs::path(set) / "registries";
}

fs::path data_folder() {
  const std::string set = variable("CARAT_DATA");
  if (!set.empty()) return set;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return "/usr/share/carat";
  return program.parent_path().parent_path() / "share" / "carat";
}

fs::path config_folder() {
  return xdg("XDG_CONFIG_HOME", ".config") / "carat";
}

std::string hub_token() {
  const std::string token = variable("HF_TOKEN");
  if (!token.empty()) return token;
  const std::string path = variable("HF_TOKEN_PATH");
  return token_in(path.empty() ? hub_home() / "token" : fs::path(path));
}

std::string hub_endpoint() {
  return url_or("HF_ENDPOINT", "https://huggingface.co");
}

std::string ollama_endpoint() {
  return url_or("CARAT_OLLAMA_ENDPOINT", "https://registry.ollama.ai");
}

std::string kaggle_endpoint() {
  return url_or("CARAT_KAGGLE_ENDPOINT", "https://www.kaggle.com");
}

bool is_offline() {
  return is_set("HF_HUB_OFFLINE") || is_set("CARAT_OFFLINE");
}

}  // namespace carat
