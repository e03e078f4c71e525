#include "cli/store_models.h"

#include <chrono>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "store/catalogue.h"
#include "store/model_store.h"
#include "store/reference.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

std::uint64_t size_of_files(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return fs::file_size(path, ignored);
  std::uint64_t size = 0;
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    if (entry.is_regular_file(ignored)) size += entry.file_size(ignored);
  }
  return size;
}

std::int64_t modified_at(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  if (error) return 0;
  const auto system = std::chrono::file_clock::to_sys(time).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(system).count();
}

// Files that carat fetched are links to blobs named by their SHA-256.
std::string digest_of(const fs::path& path) {
  constexpr std::size_t kDigits = 64;
  std::error_code ignored;
  std::string name = fs::read_symlink(path, ignored).filename().string();
  const bool is_digest = name.size() == kDigits && name.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_digest ? name : "";
}

// The form of a name that may come from a client: a reference, or a name of the catalogue. Empty for all else, paths
// above all: whether a file exists is nobody's business.
std::string store_name(std::string_view name) {
  try {
    if (const auto reference = parse_reference(name)) return reference->text();
  } catch (const Error&) {
    return {};
  }
  const auto entry = Catalogue::load().find(name);
  return entry ? entry->name : "";
}

std::string known_name(const std::string& name) {
  std::string known = store_name(name);
  if (known.empty()) throw Error(ErrorKind::kNotFound, str("model '", printable(name), "' not found."));
  return known;
}

}  // namespace

ModelEntry entry_of_path(std::string name, const std::string& path, const std::string& mmproj) {
  ModelEntry entry;
  entry.name = std::move(name);
  entry.path = path;
  entry.mmproj = mmproj;
  entry.size_bytes = size_of_files(path);
  entry.modified = modified_at(path);
  entry.digest = digest_of(path);
  entry.format = fs::is_directory(path) ? "safetensors" : "gguf";
  return entry;
}

std::vector<ModelEntry> StoreModels::list() const {
  std::vector<ModelEntry> entries;
  for (const ListedModel& model : list_models()) entries.push_back(entry_of_path(model.name, model.path.string(), ""));
  return entries;
}

std::optional<ModelEntry> StoreModels::find(std::string_view name) const {
  std::string known = store_name(name);
  if (known.empty()) return std::nullopt;
  try {
    const ResolvedName resolved = resolve_name(known);
    if (!resolved.model) return std::nullopt;
    return entry_of_path(std::move(known), resolved.model->path.string(), resolved.model->projector.string());
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kNotFound) return std::nullopt;  // what a name of the user's stands for is gone
    throw;
  }
}

void StoreModels::pull(const std::string& name, const PullProgress& progress) {
  carat::pull(known_name(name), {}, [&](std::uint64_t done, std::uint64_t total) {
    if (!progress(done, total)) throw Error(ErrorKind::kCancelled, "the pull was stopped; another goes on from here");
  });
}

void StoreModels::remove(const std::string& name) {
  remove_model(known_name(name));
}

void StoreModels::copy(const std::string& from, const std::string& to) {
  copy_model(known_name(from), to);
}

}  // namespace carat
