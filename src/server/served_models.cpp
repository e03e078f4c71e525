#include "server/served_models.h"

#include <algorithm>
#include <utility>

#include "server/http_message.h"

namespace carat {

ServedModels::ServedModels(std::vector<ModelEntry> models, std::vector<std::string> aliases, bool is_lenient,
                           const ModelSource* source)
    : models_(std::move(models)), aliases_(std::move(aliases)), is_lenient_(is_lenient), source_(source) {}

std::vector<ModelEntry> ServedModels::models() const {
  std::vector<ModelEntry> all = models_;
  if (source_ == nullptr) return all;
  for (ModelEntry& entry : source_->list()) all.push_back(std::move(entry));
  return all;
}

std::optional<ModelEntry> ServedModels::default_model() const {
  if (!models_.empty()) return models_.front();
  std::vector<ModelEntry> all = models();
  return all.empty() ? std::nullopt : std::optional(std::move(all.front()));
}

std::optional<ModelEntry> ServedModels::find(std::string_view name) const {
  if (name.empty()) return default_model();
  constexpr std::string_view kLatest = ":latest";
  const bool is_latest = name.ends_with(kLatest);
  const std::string_view stem = is_latest ? name.substr(0, name.size() - kLatest.size()) : name;
  const auto is_same = [&](std::string_view known) {
    return equals_ignoring_case(known, name) || equals_ignoring_case(known, stem);
  };
  const auto found = std::ranges::find_if(models_, is_same, &ModelEntry::name);
  if (found != models_.end()) return *found;
  if (source_ != nullptr) {
    if (auto entry = source_->find(name)) return entry;
    if (auto entry = is_latest ? source_->find(stem) : std::nullopt) return entry;
  }
  if (is_lenient_ || std::ranges::any_of(aliases_, is_same)) return default_model();
  return std::nullopt;
}

}  // namespace carat
