// StoreModels: the store of this machine as a server offers it: by names that clients may say, never by paths.
#pragma once

#include "server/model_source.h"

namespace carat {

// A model on disk, as an entry of that name.
ModelEntry entry_of_path(std::string name, const std::string& path, const std::string& mmproj);

class StoreModels final : public ModelSource {
 public:
  std::vector<ModelEntry> list() const override;
  std::optional<ModelEntry> find(std::string_view name) const override;
  void pull(const std::string& name, const PullProgress& progress) override;
  void remove(const std::string& name) override;
  void copy(const std::string& from, const std::string& to) override;
};

}  // namespace carat
