#include "store/prune.h"

#include <set>
#include <system_error>

#include "base/error.h"
#include "store/atomic_file.h"
#include "store/repository.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

// "HASH.carat-part" and "HASH.carat-state" are of blob HASH, as is the Python library's "HASH.incomplete".
std::string blob_of(const std::string& file_name) {
  return file_name.substr(0, file_name.find('.'));
}

// The lock that a pull of the blob holds.
fs::path lock_of(const fs::path& path) {
  const fs::path repository = path.parent_path().parent_path();
  return repository.parent_path() / ".locks" / repository.filename() / (blob_of(path.filename().string()) + ".lock");
}

std::uint64_t bytes_on_disk(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

std::uint64_t remove_file(const fs::path& path) {
  const std::uint64_t bytes = bytes_on_disk(path);
  std::error_code error;
  fs::remove(path, error);
  if (error) throw Error(ErrorKind::kBadFile, str(path.string(), ": can't be removed: ", error.message(), "."));
  return bytes;
}

}  // namespace

std::vector<Leftover> find_leftovers() {
  std::vector<Leftover> found;
  for (const CachedRepository& cached : cached_repositories()) {
    const std::set<std::string> needed = cached.repository.linked_blobs();
    std::error_code error;
    for (fs::directory_iterator it(cached.repository.blob(""), error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      const std::string name = it->path().filename().string();
      if (!it->is_regular_file(ignored) || needed.contains(name)) continue;
      if (FileLock::is_held(lock_of(it->path()))) continue;
      found.push_back({it->path(), bytes_on_disk(it->path()), name.find('.') != std::string::npos});
    }
  }
  return found;
}

std::uint64_t remove_leftover(const Leftover& leftover) {
  struct Taken {};
  try {
    const FileLock lock(lock_of(leftover.path), [] { throw Taken(); });
    return remove_file(leftover.path);
  } catch (const Taken&) {
    return 0;
  }
}

}  // namespace carat
