// Catalogue: short names of models ("gemma4:e2b"), built in and a user's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

// Sources that begin so are files of carat's data folder.
inline constexpr std::string_view kSharedSource = "share:";

struct CatalogueEntry {
  std::string name;    // lower case, with a tag
  std::string source;  // a reference; "share:FILE", which comes with carat; or a path for a user's own names
  std::string revision = "main";
  std::uint64_t size_bytes = 0;  // about; 0: not known
  std::string license{};
  bool is_own = false;  // from the user's file

  bool is_shared() const { return source.starts_with(kSharedSource); }
};

// The three of `names` most like `name`, whatever the case, the most like first.
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names);

class Catalogue {
 public:
  // The built-in list and, over it, the user's file: $XDG_CONFIG_HOME/carat/models.json of the same form. Throws
  // Error(kBadFile) where that is damaged.
  static Catalogue load();

  const std::vector<CatalogueEntry>& entries() const { return entries_; }
  // Whatever the case; "gemma4" is the default model, "gemma4:E2B" is "gemma4:e2b".
  std::optional<CatalogueEntry> find(std::string_view name) const;
  // The three names most like it.
  std::vector<std::string> nearest(std::string_view name) const;

  // Adds to or takes from the user's file, which is replaced as a whole. Throws Error(kBadInput) for a name that can't
  // be one, Error(kBadFile) where the file can't be written.
  static void add_own(const CatalogueEntry& entry);
  static bool remove_own(std::string_view name);

 private:
  std::vector<CatalogueEntry> entries_;
  std::string default_;
};

}  // namespace carat
