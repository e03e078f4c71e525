#include "store/model_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "store/atomic_file.h"
#include "store/digest.h"
#include "store/http_client.h"
#include "store/places.h"
#include "store/registry.h"
#include "store/repository.h"
#include "store/selection.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

// Room that has to be left on a disk after a pull.
constexpr std::uint64_t kSpareBytes = std::uint64_t{64} << 20;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Where the model of an entry is whose source is no reference.
fs::path place_of(const CatalogueEntry& entry) {
  return entry.is_shared() ? data_folder() / entry.source.substr(kSharedSource.size()) : fs::path(entry.source);
}

StoredModel model_of_entry(const CatalogueEntry& entry) {
  const fs::path path = place_of(entry);
  if (is_there(path)) return {path, {}};
  if (entry.is_shared()) {
    throw Error(ErrorKind::kNotFound,
                str("\"", entry.name, "\" comes with carat, but ", path.string(),
                    " is not there. Install all of carat, or set CARAT_DATA to the folder that holds ",
                    path.filename().string(), "."));
  }
  throw Error(ErrorKind::kNotFound,
              str("\"", entry.name, "\" stands for ", printable(entry.source, 200), ", which is gone."));
}

// A path that somebody wrote as one, rather than a name.
bool looks_like_path(std::string_view name) {
  return name.starts_with("/") || name.starts_with("./") || name.starts_with("../") || name.starts_with("~") ||
         name.ends_with(".gguf") || name.ends_with(".safetensors") || name.ends_with(".json") ||
         name.find('/') != std::string_view::npos;
}

// Whether every shard that the folder's index names is there.
bool has_all_shards(const fs::path& folder) {
  const fs::path index = folder / "model.safetensors.index.json";
  if (!is_there(index)) return is_there(folder / "model.safetensors");
  const json::value document = parse_json_file(index);
  const json::object* root = document.if_object();
  const json::object* map = root != nullptr ? find_object(*root, "weight_map", index.string()) : nullptr;
  if (map == nullptr) return false;
  return std::all_of(map->begin(), map->end(), [&](const auto& entry) {
    const json::string* shard = entry.value().if_string();
    return shard != nullptr && is_safe_file_name(*shard) && is_there(folder / std::string_view(*shard));
  });
}

// The model in a cached repository, if it is all there.
std::optional<StoredModel> find_cached(const Reference& reference) {
  const Repository repository(reference);
  const auto commit = repository.commit_of(reference.revision);
  if (!commit) return std::nullopt;
  const std::vector<std::string> names = repository.files(*commit);
  if (names.empty()) return std::nullopt;
  try {
    const Selection selection = select_files(names, reference.selector, reference.text());
    const fs::path folder = repository.snapshot(*commit);
    if (selection.model.empty()) return has_all_shards(folder) ? std::optional(StoredModel{folder, {}}) : std::nullopt;
    return StoredModel{folder / selection.model,
                       selection.projector.empty() ? fs::path() : folder / selection.projector};
  } catch (const Error&) {
    return std::nullopt;  // other files of the repository are here
  }
}

Reference reference_of(const CatalogueEntry& entry) {
  auto reference = parse_reference(entry.source);
  if (!reference) {
    throw Error(ErrorKind::kBadFile, str("the catalogue's source of \"", entry.name, "\", \"", printable(entry.source),
                                         "\", is no reference."));
  }
  if (entry.revision != "main") reference->revision = entry.revision;
  return *reference;
}

std::string names_text(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += str(i == 0 ? "" : i + 1 == names.size() ? " or " : ", ", "\"", names[i], "\"");
  }
  return text;
}

void require_space(const fs::path& cache, std::uint64_t needed) {
  std::error_code error;
  fs::create_directories(cache, error);
  const fs::space_info space = fs::space(cache, error);
  if (error || space.available >= needed + kSpareBytes || needed == 0) return;
  throw Error(ErrorKind::kOutOfMemory,
              str(cache.string(), ": ", needed >> 20, " MiB are needed, ", space.available >> 20,
                  " MiB are free. Make room, or set CARAT_MODELS to another disk."));
}

bool is_whole(const fs::path& path, std::uint64_t size_bytes) {
  std::error_code error;
  return fs::is_regular_file(path, error) && fs::file_size(path, error) == size_bytes;
}

// One pull: the listing, the files that are wanted, and how far it is.
class Pull {
 public:
  Pull(const Reference& reference, const PullOptions& options, const Progress& progress)
      : reference_(reference), options_(options), progress_(progress), repository_(reference) {}

  PullResult run() {
    RegistryAccess access = registry_access(reference_.kind, options_.download.token);
    download_ = options_.download;
    download_.token = access.token;
    download_.user_password = access.user_password;
    const RegistryListing listing = ask_registry(access);
    choose(listing);
    std::uint64_t missing = 0;
    for (const RegistryFile* file : wanted_) {
      total_ += file->remote.size_bytes;
      const fs::path blob = repository_.blob(file->blob);
      const std::uint64_t there =
          is_whole(blob, file->remote.size_bytes) ? file->remote.size_bytes : bytes_already_there(file->remote, blob);
      missing += file->remote.size_bytes - there;
    }
    require_space(repository_.folder(), missing);
    for (const RegistryFile* file : wanted_) fetch(*file);
    // All is here and checked: now it may be seen. A folder's config.json and a model's own file come last.
    for (const RegistryFile* file : wanted_) repository_.link(listing.commit, file->name, file->blob);
    repository_.set_revision(reference_.revision, listing.commit);
    PullResult result;
    result.bytes = total_;
    result.downloaded = downloaded_;
    const fs::path folder = repository_.snapshot(listing.commit);
    result.model.path = selection_.model.empty() ? folder : folder / selection_.model;
    if (!selection_.projector.empty() && options_.has_projector) result.model.projector = folder / selection_.projector;
    return result;
  }

 private:
  void advance(std::uint64_t bytes) {
    done_ = std::min(done_ + bytes, total_);
    if (progress_) progress_(done_, total_);
  }

  // The listing, asked for again while the server has a passing problem.
  RegistryListing ask_registry(const RegistryAccess& access) {
    for (int failures = 1;; ++failures) {
      try {
        return list_registry(reference_, access);
      } catch (const NetworkError& error) {
        if (!error.may_pass() || failures > download_.retries) throw;
        note(str(error.what(), " Trying again."));
        const double seconds =
            std::min(60.0, download_.retry_seconds * static_cast<double>(1ULL << std::min(failures - 1, 20)));
        wait(seconds);
      }
    }
  }

  // In small steps, so that Ctrl-C is heard.
  void wait(double seconds) {
    using Clock = std::chrono::steady_clock;
    constexpr Clock::duration kStep = std::chrono::milliseconds(100);
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    for (auto now = Clock::now(); now < end; now = Clock::now()) {
      if (progress_) progress_(done_, total_);
      std::this_thread::sleep_for(std::min(kStep, end - now));
    }
  }

  void choose(const RegistryListing& listing) {
    std::vector<std::string> names;
    for (const RegistryFile& file : listing.files) names.push_back(file.name);
    selection_ = select_files(names, reference_.selector, reference_.text());
    for (const std::string& name : selection_.files) {
      if (name == selection_.projector && !options_.has_projector) continue;
      const auto found =
          std::find_if(listing.files.begin(), listing.files.end(), [&](const auto& f) { return f.name == name; });
      wanted_.push_back(&*found);
    }
  }

  // Whether the blob is there and is what its name says: somebody who pulls what is here wants to be sure of it.
  bool is_sound(const RegistryFile& file, const fs::path& blob) {
    if (!is_whole(blob, file.remote.size_bytes)) return false;
    const Digest& expected = file.remote.digest;
    const auto check_stop = [&](std::uint64_t) { advance(0); };
    if (expected.kind == DigestKind::kNone || digest_file(blob, expected.kind, check_stop) == expected.hex) return true;
    note(str(file.name, " is damaged; fetching it again."));
    return false;
  }

  void fetch(const RegistryFile& file) {
    const fs::path blob = repository_.blob(file.blob);
    if (is_sound(file, blob)) return advance(file.remote.size_bytes);
    bool has_waited = false;
    const FileLock lock(repository_.lock(file.blob), [&] {
      if (!has_waited) note("Another process is fetching a file of this model; waiting for it.");
      has_waited = true;
      advance(0);
    });
    if (has_waited && is_whole(blob, file.remote.size_bytes)) return advance(file.remote.size_bytes);
    std::error_code ignored;
    fs::remove(blob, ignored);  // if it is there, it is not what its name says
    advance(bytes_already_there(file.remote, blob));
    const std::uint64_t before = done_;
    std::uint64_t reported = 0;
    bool is_first = true;
    download_file(file.remote, blob, download_, [&](std::uint64_t bytes) {
      // The first report is of what was there already.
      if (is_first) {
        is_first = false;
        reported = done_ - before;
      }
      reported += bytes;
      advance(bytes);
    });
    downloaded_ += file.remote.size_bytes;
  }

  void note(const std::string& text) const {
    if (options_.on_note) options_.on_note(text);
  }

  const Reference& reference_;
  const PullOptions& options_;
  const Progress& progress_;
  Repository repository_;
  DownloadOptions download_;
  Selection selection_;
  std::vector<const RegistryFile*> wanted_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t downloaded_ = 0;
};

std::uint64_t bytes_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    const std::uintmax_t size = fs::file_size(path, error);
    return error ? 0 : size;
  }
  std::uint64_t total = 0;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const std::uintmax_t size = fs::file_size(it->path(), ignored);
    if (!ignored) total += size;
  }
  return total;
}

std::int64_t modified_seconds(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mtim.tv_sec : 0;
}

// The shortest catalogue name that leads to the same place.
std::string name_of(const Catalogue& catalogue, const Reference& reference, const fs::path& path) {
  std::string best;
  for (const CatalogueEntry& entry : catalogue.entries()) {
    const auto source = parse_reference(entry.source);
    if (!source || source->kind != reference.kind || source->repository != reference.repository) continue;
    const auto model = find_cached(reference_of(entry));
    if (model && model->path == path && (best.empty() || entry.name.size() < best.size())) best = entry.name;
  }
  return best;
}

}  // namespace

std::optional<StoredModel> model_at(std::string_view path) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  if (is_folder ? !is_there(fs::path(path) / "config.json") : !is_there(path)) return std::nullopt;
  return StoredModel{path, {}};
}

ResolvedName resolve_name(std::string_view name) {
  if (name.starts_with("file:")) {
    std::string_view path = name.substr(5);
    if (path.starts_with("//")) path.remove_prefix(2);
    if (!is_there(path)) throw Error(ErrorKind::kNotFound, str(printable(path, 200), ": no such file or folder."));
    return {.model = StoredModel{path, {}}};
  }
  if (const auto reference = parse_reference(name)) return {reference, find_cached(*reference)};
  const Catalogue catalogue = Catalogue::load();
  if (const auto entry = catalogue.find(name)) {
    const auto reference = parse_reference(entry->source);
    if (!reference) return {.model = model_of_entry(*entry)};
    return {reference_of(*entry), find_cached(reference_of(*entry))};
  }
  if (is_there(name)) return {.model = StoredModel{name, {}}};
  if (looks_like_path(name)) throw Error(ErrorKind::kNotFound, str(printable(name, 200), ": no such file or folder."));
  throw Error(ErrorKind::kNotFound,
              str("no model is called \"", printable(name), "\". Did you mean ", names_text(catalogue.nearest(name)),
                  "? A path, or hf.co/OWNER/REPO, is good too; `carat list --all` shows the names."));
}

StoredModel find_model(std::string_view name) {
  if (const auto model = model_at(name)) return *model;  // a path comes first: no name looks like one by accident
  const ResolvedName resolved = resolve_name(name);
  if (resolved.model) return *resolved.model;
  throw Error(ErrorKind::kNotFound,
              str("\"", printable(name, 200), "\" is not on this machine. Get it with `carat pull ",
                  printable(name, 200), "`."));
}

PullResult pull(std::string_view name, const PullOptions& options, const Progress& progress) {
  const ResolvedName resolved = resolve_name(name);
  if (!resolved.reference) return {*resolved.model, bytes_of(resolved.model->path), 0};
  if (is_offline()) {
    if (resolved.model) return {*resolved.model, bytes_of(resolved.model->path), 0};
    throw NetworkError(str("\"", printable(name, 200),
                           "\" is not on this machine, and HF_HUB_OFFLINE or CARAT_OFFLINE forbids to fetch it."),
                       false);
  }
  return Pull(*resolved.reference, options, progress).run();
}

std::vector<ListedModel> list_models() {
  const Catalogue catalogue = Catalogue::load();
  std::vector<ListedModel> models;
  const auto add = [&](std::string name, const fs::path& path) {
    models.push_back({std::move(name), path, bytes_of(path), modified_seconds(path)});
  };
  for (const CatalogueEntry& entry : catalogue.entries()) {
    if (parse_reference(entry.source)) continue;
    if (const fs::path path = place_of(entry); is_there(path)) add(entry.name, path);
  }
  for (const CachedRepository& cached : cached_repositories()) {
    for (const std::string& revision : cached.repository.revisions()) {
      Reference reference = cached.reference;
      reference.revision = revision;
      const auto commit = cached.repository.commit_of(revision);
      const std::vector<std::string> names = cached.repository.files(*commit);
      const fs::path folder = cached.repository.snapshot(*commit);
      bool has_gguf = false;
      for (const std::string& name : names) {
        if (!name.ends_with(".gguf")) continue;
        has_gguf = true;
        if (name.find("mmproj") != std::string::npos) continue;
        reference.selector = reference.kind == SourceKind::kHuggingFace ? name : "";
        const std::string known = name_of(catalogue, reference, folder / name);
        add(known.empty() ? reference.text() : known, folder / name);
      }
      reference.selector.clear();
      if (has_gguf || !is_there(folder / "config.json") || !has_all_shards(folder)) continue;
      const std::string known = name_of(catalogue, reference, folder);
      add(known.empty() ? reference.text() : known, folder);
    }
  }
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return models;
}

namespace {

// What was to be removed is not here: which models are.
[[noreturn]] void refuse_to_remove(std::string_view name) {
  std::vector<std::string> names;
  for (const ListedModel& model : list_models()) names.push_back(model.name);
  throw Error(ErrorKind::kNotFound, str("\"", printable(name, 200), "\" is not on this machine",
                                        names.empty() ? "; no model is."
                                                      : str(". Did you mean ", names_text(nearest_names(name, names)),
                                                            "? `carat list` shows all.")));
}

ResolvedName resolve_to_remove(std::string_view name) {
  try {
    return resolve_name(name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
    refuse_to_remove(name);
  }
}

}  // namespace

std::uint64_t remove_model(std::string_view name) {
  const Catalogue catalogue = Catalogue::load();
  if (const auto entry = catalogue.find(name); entry && entry->is_own) {
    Catalogue::remove_own(name);
    return 0;  // a name only; what it stands for stays
  }
  const ResolvedName resolved = resolve_to_remove(name);
  if (const auto entry = catalogue.find(name); entry && entry->is_shared()) {
    throw Error(ErrorKind::kBadInput,
                str("\"", entry->name, "\" comes with carat and goes with it: it was not pulled."));
  }
  if (!resolved.reference) {
    throw Error(ErrorKind::kBadInput,
                str(printable(name, 200), ": is a path, not a model that carat fetched. Remove it yourself."));
  }
  if (!resolved.model) refuse_to_remove(name);
  const Repository repository(*resolved.reference);
  const auto commit = repository.commit_of(resolved.reference->revision);
  const std::vector<std::string> names = repository.files(*commit);
  const fs::path folder = repository.snapshot(*commit);
  if (resolved.model->path == folder) return repository.remove(*commit, names);
  std::vector<std::string> gone{resolved.model->path.lexically_relative(folder).string()};
  // What belongs to all models of the repository goes with the last one.
  const auto is_model = [&](const std::string& file) {
    return file.ends_with(".gguf") && file.find("mmproj") == std::string::npos && file != gone.front();
  };
  if (std::none_of(names.begin(), names.end(), is_model)) gone = names;
  return repository.remove(*commit, gone);
}

void copy_model(std::string_view from, std::string_view to) {
  const Catalogue catalogue = Catalogue::load();
  if (const auto taken = catalogue.find(to); taken && !taken->is_own) {
    throw Error(ErrorKind::kBadInput, str("\"", printable(to), "\" is a name of carat's own. Choose another."));
  }
  CatalogueEntry entry{.name = std::string(to), .source = {}};
  const ResolvedName resolved = resolve_name(from);
  const auto known = catalogue.find(from);
  if (resolved.reference) {
    entry.source = resolved.reference->text();
  } else if (known && known->is_shared()) {
    entry.source = known->source;  // wherever carat will be
  } else {
    entry.source = fs::absolute(resolved.model->path).lexically_normal().string();
  }
  Catalogue::add_own(entry);
}

}  // namespace carat
