// Service: which models there are.
#include <array>
#include <cstdio>

#include "server/dialect.h"
#include "server/service.h"

namespace carat {
namespace {

constexpr std::string_view kNoDigest = "0000000000000000000000000000000000000000000000000000000000000000";

json::object openai_model(const std::string& id, const ModelEntry& entry) {
  return {{"id", id}, {"object", "model"}, {"created", entry.modified}, {"owned_by", "carat"}};
}

json::object anthropic_model(const std::string& id, const ModelEntry& entry) {
  return {{"type", "model"},
          {"id", id},
          {"display_name", id},
          {"created_at", rfc3339_time(entry.modified)},
          {"lifecycle", "active"}};
}

json::object details_of(const ModelEntry& entry) {
  return {{"parent_model", ""},   {"format", entry.format},
          {"family", "gemma"},    {"families", json::array{"gemma"}},
          {"parameter_size", ""}, {"quantization_level", entry.quantization}};
}

json::object ollama_model(const ModelEntry& entry) {
  return {{"name", entry.name},
          {"model", entry.name},
          {"modified_at", rfc3339_time(entry.modified)},
          {"size", entry.size_bytes},
          {"digest", entry.digest.empty() ? std::string(kNoDigest) : entry.digest},
          {"details", details_of(entry)}};
}

// As Ollama writes them: "4.3B", "268.10M"; empty where they are not known.
std::string parameter_size(std::uint64_t parameters) {
  if (parameters == 0) return "";
  constexpr double kBillion = 1e9;
  constexpr double kMillion = 1e6;
  const auto count = static_cast<double>(parameters);
  std::array<char, 32> text{};
  const bool is_billions = count >= kBillion;
  const int size = is_billions ? std::snprintf(text.data(), text.size(), "%.1fB", count / kBillion)
                               : std::snprintf(text.data(), text.size(), "%.2fM", count / kMillion);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string uppercase(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

bool is_anthropic(const ServerRequest& request) {
  return !request.header("anthropic-version").empty();
}

}  // namespace

void Service::models(const std::shared_ptr<Exchange>& exchange) {
  json::array data;
  const bool is_theirs = is_anthropic(exchange->request());
  const auto add = [&](const std::string& id, const ModelEntry& entry) {
    data.push_back(is_theirs ? anthropic_model(id, entry) : openai_model(id, entry));
  };
  for (const ModelEntry& entry : catalogue_.models()) add(entry.name, entry);
  if (const auto entry = catalogue_.default_model()) {
    for (const std::string& alias : catalogue_.aliases()) add(alias, *entry);
  }
  if (!is_theirs) return respond(*exchange, {{"object", "list"}, {"data", std::move(data)}});
  const json::value first = data.empty() ? json::value(nullptr) : data.front().at("id");
  const json::value last = data.empty() ? json::value(nullptr) : data.back().at("id");
  respond(*exchange, {{"data", std::move(data)}, {"has_more", false}, {"first_id", first}, {"last_id", last}});
}

void Service::model(const std::shared_ptr<Exchange>& exchange) {
  const std::string id = parameter_of(exchange->request());
  const ModelEntry entry = entry_of(id);
  respond(*exchange, is_anthropic(exchange->request()) ? anthropic_model(id, entry) : openai_model(id, entry));
}

void Service::ollama_tags(const std::shared_ptr<Exchange>& exchange) {
  json::array models;
  for (const ModelEntry& entry : catalogue_.models()) models.push_back(ollama_model(entry));
  respond(*exchange, {{"models", std::move(models)}});
}

void Service::ollama_ps(const std::shared_ptr<Exchange>& exchange) {
  json::array models;
  for (const ModelHost::Loaded& loaded : host_.loaded()) {
    const auto entry = catalogue_.find(loaded.name);
    if (!entry) continue;
    json::object model = ollama_model(*entry);
    std::int64_t seconds = 365 * 86400;  // Ollama's clients want a date; a year is as good as for ever
    if (loaded.expires) {
      seconds = std::chrono::duration_cast<std::chrono::seconds>(*loaded.expires - ModelHost::Clock::now()).count();
    }
    model["expires_at"] = rfc3339_time(unix_time() + seconds);
    model["size_vram"] = 0;
    model["context_length"] = loaded.answerer->info().context;
    models.push_back(std::move(model));
  }
  respond(*exchange, {{"models", std::move(models)}});
}

void Service::ollama_show(const std::shared_ptr<Exchange>& exchange) {
  const ModelEntry entry = entry_of(model_name_in(body_of(exchange->request())));
  const ModelInfo info = describe(entry);
  json::array capabilities{"completion"};
  if (info.has_template) {
    capabilities.push_back("tools");
    capabilities.push_back("thinking");
  }
  if (info.sees_images) capabilities.push_back("vision");
  if (info.hears_audio) capabilities.push_back("audio");
  json::object model_info{{"general.architecture", info.architecture},
                          {"general.name", info.name.empty() ? entry.name : info.name},
                          {"general.parameter_count", info.parameters}};
  model_info[info.architecture + ".context_length"] = info.trained_context;
  model_info[info.architecture + ".embedding_length"] = info.embedding_size;
  model_info[info.architecture + ".vocab_size"] = info.vocab;
  json::object details = details_of(entry);
  details["parameter_size"] = parameter_size(info.parameters);
  details["quantization_level"] = uppercase(info.weight_type);
  json::object shown{{"modelfile", str("FROM ", entry.name, "\n")},
                     {"parameters", "temperature 1\ntop_k 64\ntop_p 0.95"},
                     {"template", info.chat_template},
                     {"template_revision", info.template_revision},
                     {"details", std::move(details)},
                     {"model_info", std::move(model_info)},
                     {"capabilities", std::move(capabilities)},
                     {"modified_at", rfc3339_time(entry.modified)}};
  if (!info.license.empty()) shown["license"] = info.license;
  respond(*exchange, shown);
}

}  // namespace carat
