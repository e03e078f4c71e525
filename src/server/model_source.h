// ModelSource: models beside those that a server was started with: the store of this machine, or a test's stand-in.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

struct ModelEntry {
  std::string name;         // "gemma4:e2b"
  std::string path;         // file or folder
  std::string mmproj = {};  // a file with its towers, where they are in one of their own
  std::uint64_t size_bytes = 0;
  std::int64_t modified = 0;  // seconds since 1970
  std::string digest = {};    // SHA-256 in hexadecimal, where it is known
  std::string format = "gguf";
  std::string quantization = {};
};

// Every function may be called by any number of threads. Names come from clients: they are never paths.
class ModelSource {
 public:
  virtual ~ModelSource() = default;

  virtual std::vector<ModelEntry> list() const = 0;
  // Nothing where no such model is here. Its name is the same however it was written.
  virtual std::optional<ModelEntry> find(std::string_view name) const = 0;

  // Told bytes done and in all; false ends the pull with Error(kCancelled).
  using PullProgress = std::function<bool(std::uint64_t done, std::uint64_t total)>;
  // Gets a model; returns when it is here and checked. Throws Error(kNotFound, kBadInput) for a name that means
  // nothing, and what fetching throws.
  virtual void pull(const std::string& name, const PullProgress& progress) = 0;
  // Throws Error(kNotFound).
  virtual void remove(const std::string& name) = 0;
  virtual void copy(const std::string& from, const std::string& to) = 0;
};

}  // namespace carat
