// Repository: one model repository in a cache, in the layout of the Hugging Face hub:
//   models--OWNER--NAME/blobs/HASH                 what files hold, by hash
//   models--OWNER--NAME/snapshots/COMMIT/FILE      links to blobs
//   models--OWNER--NAME/refs/REVISION              which commit a revision stands for
// A file that is being fetched has another name in blobs/, so that whatever has a link is whole.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/reference.h"

namespace carat {

class Repository {
 public:
  explicit Repository(const Reference& reference);
  // By its folder in a cache.
  Repository(std::filesystem::path root, std::string folder_name);

  std::filesystem::path folder() const { return root_ / name_; }
  std::filesystem::path blob(const std::string& name) const { return folder() / "blobs" / name; }
  std::filesystem::path lock(const std::string& blob) const { return root_ / ".locks" / name_ / (blob + ".lock"); }
  std::filesystem::path snapshot(const std::string& commit) const { return folder() / "snapshots" / commit; }

  // The commit that a revision stands for here, if any; a full commit stands for itself where its snapshot is there.
  std::optional<std::string> commit_of(const std::string& revision) const;
  // Names of the files of a snapshot whose blobs are there.
  std::vector<std::string> files(const std::string& commit) const;
  // Refs that lead to a snapshot.
  std::vector<std::string> revisions() const;

  // Names of the blobs that any snapshot leads to.
  std::set<std::string> linked_blobs() const;

  // Links a file of a snapshot to a blob, replacing what was there.
  void link(const std::string& commit, const std::string& file, const std::string& blob) const;
  void set_revision(const std::string& revision, const std::string& commit) const;

  // Takes files out of a snapshot, with the blobs that no other snapshot needs; the whole repository where nothing is
  // left. Returns the bytes freed.
  std::uint64_t remove(const std::string& commit, const std::vector<std::string>& files) const;

 private:
  std::filesystem::path root_;
  std::string name_;  // "models--google--gemma-4-E2B-it"
};

// All repositories in the caches, with the reference each is for.
struct CachedRepository {
  Reference reference;  // without revision and selector
  Repository repository;
};
std::vector<CachedRepository> cached_repositories();

}  // namespace carat
