// ModelStore: models on this machine by name, and how they get here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "store/catalogue.h"
#include "store/download.h"
#include "store/reference.h"

namespace carat {

struct StoredModel {
  std::filesystem::path path;       // a GGUF file, or a folder with config.json
  std::filesystem::path projector;  // mmproj; empty where there is none
};

// The model at a path: a file, or a folder with config.json. Nothing for anything else: a folder that happens to be
// called like a model doesn't hide it.
std::optional<StoredModel> model_at(std::string_view path);

// What a name means, without asking any server.
struct ResolvedName {
  std::optional<Reference> reference{};  // where it would be pulled from
  std::optional<StoredModel> model{};    // where it is; nothing: not here
};

// name: "gemma4:e2b", "hf.co/...", "ollama.com/...", "kaggle.com/...", "file:PATH", a path. Throws Error(kNotFound)
// with the three nearest names for one that is none of these, or where what it stands for is gone; Error(kBadInput) for
// one that can't be a name.
ResolvedName resolve_name(std::string_view name);

// The model of that name. Throws as resolve_name, and Error(kNotFound) saying how to pull it where it is not here.
StoredModel find_model(std::string_view name);

struct PullOptions {
  DownloadOptions download{};
  bool has_projector = true;
  // Told what is being waited for or done: "another process is pulling this model; waiting".
  std::function<void(const std::string&)> on_note{};
};

struct PullResult {
  StoredModel model;
  std::uint64_t bytes = 0;       // of the model's files
  std::uint64_t downloaded = 0;  // of them fetched now
};

// Fetches what is missing of a model or damaged, checks every file against its hash and only then makes the model
// visible: links, and last the name of its revision. A pull that was ended in whatever way goes on where it was. Two
// pulls of one file wait for each other. Throws Error: NetworkError; kNotFound; kOutOfMemory where the disk has too
// little room, before anything is fetched; kBadFile for a wrong hash.
PullResult pull(std::string_view name, const PullOptions& options, const Progress& progress);

// Everything that is here.
struct ListedModel {
  std::string name;  // the shortest that leads to it
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::int64_t modified_seconds = 0;  // since 1970
};
std::vector<ListedModel> list_models();

// Takes a model off the disk, or a name of the user's own that stands for it. Returns bytes freed.
std::uint64_t remove_model(std::string_view name);

// Gives a model another name, of the user's own.
void copy_model(std::string_view from, std::string_view to);

}  // namespace carat
