#include "server/served_models.h"

#include <algorithm>
#include <utility>

#include "server/http_message.h"

namespace carat {

ServedModels::ServedModels(std::vector<ModelEntry> models, std::vector<std::string> aliases, bool is_lenient)
    : models_(std::move(models)), aliases_(std::move(aliases)), is_lenient_(is_lenient) {}

const ModelEntry* ServedModels::find(std::string_view name) const {
  if (name.empty()) return &default_model();
  constexpr std::string_view kLatest = ":latest";
  const auto is_same = [&](std::string_view known) {
    if (equals_ignoring_case(known, name)) return true;
    return name.ends_with(kLatest) && equals_ignoring_case(known, name.substr(0, name.size() - kLatest.size()));
  };
  const auto found = std::ranges::find_if(models_, is_same, &ModelEntry::name);
  if (found != models_.end()) return &*found;
  if (is_lenient_ || std::ranges::any_of(aliases_, is_same)) return &default_model();
  return nullptr;
}

}  // namespace carat
