// ServedModels: the models a server offers, by name.
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

class ServedModels {
 public:
  // models: not empty; the first is the default. aliases: further names of the default. is_lenient: every name means a
  // model: one that isn't known, the default.
  ServedModels(std::vector<ModelEntry> models, std::vector<std::string> aliases, bool is_lenient);

  const std::vector<ModelEntry>& models() const { return models_; }
  const ModelEntry& default_model() const { return models_.front(); }
  const std::vector<std::string>& aliases() const { return aliases_; }

  // By name, whatever its case, with or without Ollama's ":latest"; empty: the default. Null where there is none.
  const ModelEntry* find(std::string_view name) const;

 private:
  std::vector<ModelEntry> models_;
  std::vector<std::string> aliases_;
  bool is_lenient_;
};

}  // namespace carat
