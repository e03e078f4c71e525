// ServedModels: the models a server offers, by name: those it was started with, and those of a source.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/model_source.h"

namespace carat {

// May be used by any number of threads.
class ServedModels {
 public:
  // The first of models is the default. aliases: further names of the default. is_lenient: every name means a model:
  // one that isn't known, the default. source: null for none; it must outlive this.
  ServedModels(std::vector<ModelEntry> models, std::vector<std::string> aliases, bool is_lenient,
               const ModelSource* source = nullptr);

  std::vector<ModelEntry> models() const;
  // Nothing where the source's models are all there is, and it has none.
  std::optional<ModelEntry> default_model() const;
  const std::vector<std::string>& aliases() const { return aliases_; }

  // By name, whatever its case, with or without Ollama's ":latest"; empty: the default.
  std::optional<ModelEntry> find(std::string_view name) const;

 private:
  std::vector<ModelEntry> models_;
  std::vector<std::string> aliases_;
  bool is_lenient_;
  const ModelSource* source_;
};

}  // namespace carat
