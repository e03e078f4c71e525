#include "store/repository.h"

#include <algorithm>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "store/atomic_file.h"
#include "store/places.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

struct Prefix {
  SourceKind kind;
  std::string_view text;
};
constexpr Prefix kPrefixes[] = {
    {SourceKind::kHuggingFace, "models--"}, {SourceKind::kOllama, "ollama--"}, {SourceKind::kKaggle, "kaggle--"}};

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  while (true) {
    const std::size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

std::string folder_name(const Reference& reference) {
  for (const Prefix& prefix : kPrefixes) {
    if (prefix.kind == reference.kind) return str(prefix.text, replaced(reference.repository, "/", "--"));
  }
  return {};
}

fs::path root_of(SourceKind kind) {
  return kind == SourceKind::kHuggingFace ? hub_cache() : registry_cache();
}

void check(const fs::path& path, const std::error_code& error) {
  if (!error) return;
  const bool is_full = error == std::errc::no_space_on_device;
  throw Error(is_full ? ErrorKind::kOutOfMemory : ErrorKind::kBadFile,
              str(path.string(), ": can't be changed: ", error.message(), "."));
}

// The blob that a file of a snapshot is a link to; empty where it is none. A link may lead to the blobs beside its
// snapshot and nowhere else.
std::string linked_blob(const fs::path& file) {
  std::error_code error;
  const fs::path target = fs::read_symlink(file, error);
  if (error || target.is_absolute() || target.parent_path().filename() != "blobs") return {};
  for (const fs::path& part : target.parent_path().parent_path()) {
    if (part != "..") return {};
  }
  return target.filename().string();
}

template <typename Body>
void for_each_file(const fs::path& folder, const Body& body) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error) && !it->is_symlink(error)) continue;
    body(it->path());
  }
}

std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Repository::Repository(const Reference& reference) : root_(root_of(reference.kind)), name_(folder_name(reference)) {}
Repository::Repository(fs::path root, std::string folder) : root_(std::move(root)), name_(std::move(folder)) {}

std::optional<std::string> Repository::commit_of(const std::string& revision) const {
  std::error_code ignored;
  const fs::path ref = folder() / "refs" / (revision.empty() ? "latest" : revision);
  if (fs::is_regular_file(ref, ignored)) {
    constexpr std::uint64_t kMaxBytes = 256;
    std::string commit = read_text_file(ref, kMaxBytes);
    commit.erase(commit.find_last_not_of(" \r\n") + 1);
    if (is_safe_file_name(commit) && commit.find('/') == std::string::npos &&
        fs::is_directory(snapshot(commit), ignored)) {
      return commit;
    }
  }
  if (!revision.empty() && revision.find('/') == std::string::npos && fs::is_directory(snapshot(revision), ignored)) {
    return revision;
  }
  return std::nullopt;
}

std::vector<std::string> Repository::files(const std::string& commit) const {
  std::vector<std::string> names;
  const fs::path base = snapshot(commit);
  for_each_file(base, [&](const fs::path& path) {
    std::error_code ignored;
    // On file systems without links, the Python library puts the files themselves here.
    if (fs::is_regular_file(path, ignored)) names.push_back(path.lexically_relative(base).string());
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> Repository::revisions() const {
  std::vector<std::string> names;
  const fs::path base = folder() / "refs";
  for_each_file(base, [&](const fs::path& path) {
    const std::string name = path.lexically_relative(base).string();
    if (commit_of(name)) names.push_back(name);
  });
  std::sort(names.begin(), names.end());
  return names;
}

std::set<std::string> Repository::linked_blobs() const {
  std::set<std::string> names;
  for_each_file(folder() / "snapshots", [&](const fs::path& path) { names.insert(linked_blob(path)); });
  return names;
}

void Repository::link(const std::string& commit, const std::string& file, const std::string& blob_name) const {
  const fs::path path = snapshot(commit) / file;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  check(path, error);
  fs::path target = "../..";
  for (auto depth = std::count(file.begin(), file.end(), '/'); depth > 0; --depth) target /= "..";
  target = target / "blobs" / blob_name;
  if (fs::read_symlink(path, error) == target) return;
  const fs::path temporary = path.string() + ".carat-link";
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary, error);
  check(path, error);
  fs::rename(temporary, path, error);
  check(path, error);
  sync_folder(path.parent_path());
}

void Repository::set_revision(const std::string& revision, const std::string& commit) const {
  write_file_atomically(folder() / "refs" / (revision.empty() ? "latest" : revision), commit);
}

std::uint64_t Repository::remove(const std::string& commit, const std::vector<std::string>& names) const {
  std::error_code error;
  std::set<std::string> candidates;
  std::uint64_t freed = 0;
  for (const std::string& name : names) {
    const fs::path path = snapshot(commit) / name;
    const std::string blob_name = linked_blob(path);
    if (!blob_name.empty()) {
      candidates.insert(blob_name);
    } else if (fs::is_regular_file(path, error)) {
      freed += fs::file_size(path, error);
    }
    fs::remove(path, error);
    check(path, error);
  }
  bool is_empty = true;
  for_each_file(folder() / "snapshots", [&](const fs::path& path) {
    is_empty = false;
    candidates.erase(linked_blob(path));
  });
  for (const std::string& name : candidates) {
    const std::uintmax_t size = fs::file_size(blob(name), error);
    if (!error) freed += size;
    fs::remove(blob(name), error);
  }
  if (is_empty) {
    fs::remove_all(folder(), error);
    check(folder(), error);
  }
  return freed;
}

std::vector<CachedRepository> cached_repositories() {
  std::vector<CachedRepository> found;
  for (const fs::path& root : {hub_cache(), registry_cache()}) {
    for (const std::string& name : folders_in(root)) {
      for (const Prefix& prefix : kPrefixes) {
        if (!name.starts_with(prefix.text)) continue;
        Reference reference{.kind = prefix.kind,
                            .repository = replaced(std::string_view(name).substr(prefix.text.size()), "--", "/")};
        found.push_back({std::move(reference), Repository(root, name)});
      }
    }
  }
  return found;
}

}  // namespace carat
