#include "store/catalogue.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "store/atomic_file.h"
#include "store/builtin_catalogue.h"
#include "store/places.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

bool is_name(std::string_view name) {
  const auto is_good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == ':';
  };
  return !name.empty() && name.size() <= 100 && name.front() != '-' && name.front() != '.' && name.front() != ':' &&
         std::count(name.begin(), name.end(), ':') <= 1 && name.back() != ':' &&
         std::all_of(name.begin(), name.end(), is_good);
}

fs::path own_file() {
  return config_folder() / "models.json";
}

std::vector<CatalogueEntry> read_entries(const json::value& document, std::string_view where, bool is_own) {
  std::vector<CatalogueEntry> entries;
  const json::object* root = document.if_object();
  const json::array* models = root != nullptr ? find_array(*root, "models", where) : nullptr;
  if (models == nullptr) throw Error(ErrorKind::kBadFile, str(where, ": lacks the list \"models\"."));
  for (const json::value& value : *models) {
    const json::object* object = value.if_object();
    if (object == nullptr)
      throw Error(ErrorKind::kBadFile, str(where, ": \"models\" holds something that is no object."));
    CatalogueEntry entry;
    entry.name = lowered(find_string(*object, "name", where).value_or(""));
    entry.source = find_string(*object, "source", where).value_or("");
    entry.revision = find_string(*object, "revision", where).value_or("main");
    entry.size_bytes =
        static_cast<std::uint64_t>(std::max<std::int64_t>(find_integer(*object, "size_bytes", where).value_or(0), 0));
    entry.license = find_string(*object, "license", where).value_or("");
    entry.is_own = is_own;
    if (!is_name(entry.name) || entry.source.empty()) {
      throw Error(ErrorKind::kBadFile,
                  str(where, ": \"", printable(entry.name), "\" lacks a proper name or a source."));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<CatalogueEntry> read_own() {
  const fs::path path = own_file();
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  return read_entries(parse_json_file(path), path.string(), true);
}

void write_own(const std::vector<CatalogueEntry>& entries) {
  json::array models;
  for (const CatalogueEntry& entry : entries) {
    json::object object{{"name", entry.name}, {"source", entry.source}, {"revision", entry.revision}};
    if (entry.size_bytes != 0) object["size_bytes"] = entry.size_bytes;
    if (!entry.license.empty()) object["license"] = entry.license;
    models.push_back(std::move(object));
  }
  write_file_atomically(own_file(), json::serialize(json::object{{"models", std::move(models)}}) + "\n");
}

// Insertions, deletions and substitutions that turn a into b.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names) {
  const std::string wanted = lowered(name.substr(0, 100));
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& known : names) ranked.emplace_back(distance(wanted, lowered(known)), known);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, ranked.size()); ++i) nearest.push_back(ranked[i].second);
  return nearest;
}

Catalogue Catalogue::load() {
  Catalogue catalogue;
  const json::value builtin = parse_json(kBuiltinCatalogue, "catalogue.json", ErrorKind::kInternal);
  catalogue.entries_ = read_own();
  for (CatalogueEntry& entry : read_entries(builtin, "catalogue.json", false))
    catalogue.entries_.push_back(std::move(entry));
  catalogue.default_ = std::string(find_string(builtin.as_object(), "default", "catalogue.json").value_or(""));
  return catalogue;
}

std::optional<CatalogueEntry> Catalogue::find(std::string_view name) const {
  std::string wanted = lowered(name);
  const auto find_exactly = [&]() -> std::optional<CatalogueEntry> {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.name == wanted; });
    if (found == entries_.end()) return std::nullopt;
    return *found;
  };
  if (const auto found = find_exactly()) return found;
  if (wanted.ends_with(":latest")) wanted.erase(wanted.size() - 7);
  if (wanted != default_.substr(0, default_.find(':'))) return find_exactly();
  wanted = default_;
  return find_exactly();
}

std::vector<std::string> Catalogue::nearest(std::string_view name) const {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : entries_) names.push_back(entry.name);
  return nearest_names(name, names);
}

void Catalogue::add_own(const CatalogueEntry& entry) {
  CatalogueEntry own = entry;
  own.name = lowered(entry.name);
  if (!is_name(own.name)) {
    throw Error(ErrorKind::kBadInput, str("\"", printable(entry.name),
                                          "\" can't be a model's name: use letters, digits, "
                                          "\"-\", \"_\", \".\", and one \":\" at most."));
  }
  std::vector<CatalogueEntry> entries = read_own();
  std::erase_if(entries, [&](const CatalogueEntry& other) { return other.name == own.name; });
  entries.push_back(std::move(own));
  write_own(entries);
}

bool Catalogue::remove_own(std::string_view name) {
  std::vector<CatalogueEntry> entries = read_own();
  const std::string wanted = lowered(name);
  if (std::erase_if(entries, [&](const CatalogueEntry& entry) { return entry.name == wanted; }) == 0) return false;
  write_own(entries);
  return true;
}

}  // namespace carat
