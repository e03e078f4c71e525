#include "store/selection.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace carat {
namespace {

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

// Whether the name has the word in it, with no letter or digit on either side: "q4_k" is none of "q4_k_m".
bool has_word(std::string_view name, std::string_view word) {
  const std::string text = lowered(name);
  const std::string wanted = lowered(word);
  const auto is_word_character = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at + 1)) {
    const std::size_t end = at + wanted.size();
    // "E2B_q4_0-it": an underscore may stand before the word, as it does not tell it from a longer one.
    const bool begins = at == 0 || !is_word_character(text[at - 1]) || text[at - 1] == '_';
    if (begins && (end == text.size() || !is_word_character(text[end]))) return true;
  }
  return false;
}

bool is_projector(std::string_view name) {
  const std::string text = lowered(name);
  return text.find("mmproj") != std::string::npos;
}

// Pieces of a model in several GGUF files: "-00001-of-00003.gguf".
bool is_piece(std::string_view name) {
  const std::size_t of = name.rfind("-of-");
  return of != std::string_view::npos && of >= 6 && name.ends_with(".gguf") && name.size() == of + 4 + 5 + 5;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i == 20) return str(text, ", ...");
    text += str(i == 0 ? "" : ", ", printable(names[i]));
  }
  return text;
}

std::string best_projector(const std::vector<std::string>& projectors) {
  for (const std::string_view type : {"f16", "bf16", "f32"}) {
    for (const std::string& name : projectors) {
      if (has_word(name, type)) return name;
    }
  }
  return projectors.empty() ? std::string() : projectors.front();
}

Selection select_folder(const std::vector<std::string>& names, std::string_view where) {
  constexpr std::array<std::string_view, 12> kFiles{"generation_config.json",
                                                    "preprocessor_config.json",
                                                    "processor_config.json",
                                                    "special_tokens_map.json",
                                                    "tokenizer_config.json",
                                                    "tokenizer.model",
                                                    "chat_template.json",
                                                    "chat_template.jinja",
                                                    "tokenizer.json",
                                                    "model.safetensors.index.json",
                                                    "LICENSE",
                                                    "README.md"};
  Selection selection;
  bool has_weights = false;
  bool has_config = false;
  for (const std::string& name : names) {
    if (name.find('/') != std::string::npos) continue;
    const bool is_weight = name.ends_with(".safetensors");
    has_weights = has_weights || is_weight;
    has_config = has_config || name == "config.json";
    if (is_weight || std::find(kFiles.begin(), kFiles.end(), name) != kFiles.end()) selection.files.push_back(name);
  }
  if (!has_weights || !has_config) {
    throw Error(
        ErrorKind::kNotFound,
        str(where, ": holds neither a GGUF file nor config.json with safetensors; it has ", listed(names), "."));
  }
  selection.files.emplace_back("config.json");
  return selection;
}

}  // namespace

Selection select_files(const std::vector<std::string>& names, std::string_view selector, std::string_view where) {
  std::vector<std::string> models;
  std::vector<std::string> projectors;
  for (const std::string& name : names) {
    if (!lowered(name).ends_with(".gguf")) continue;
    (is_projector(name) ? projectors : models).push_back(name);
  }
  Selection selection;
  if (selector.empty() && models.empty()) return select_folder(names, where);
  if (std::find(names.begin(), names.end(), selector) != names.end()) {
    selection.model = std::string(selector);
  } else if (selector.empty()) {
    if (models.size() == 1) selection.model = models.front();
    for (const std::string_view preferred : {"q4_0", "q4_k_m"}) {
      for (const std::string& name : models) {
        if (selection.model.empty() && has_word(name, preferred)) selection.model = name;
      }
    }
  } else {
    for (const std::string& name : models) {
      if (selection.model.empty() && has_word(name, selector)) selection.model = name;
    }
  }
  if (selection.model.empty()) {
    throw Error(ErrorKind::kNotFound, str(where, ": has no GGUF file \"", printable(selector), "\"; choose one of ",
                                          listed(models), " and put it behind the name, after a colon."));
  }
  if (is_piece(selection.model)) {
    throw Error(ErrorKind::kUnsupported, str(where, ": ", printable(selection.model),
                                             " is one of several pieces of a model; carat reads models in one file."));
  }
  selection.projector = is_projector(selection.model) ? std::string() : best_projector(projectors);
  for (const std::string_view license : {"LICENSE", "LICENSE.txt"}) {
    if (std::find(names.begin(), names.end(), license) != names.end()) selection.files.emplace_back(license);
  }
  if (!selection.projector.empty()) selection.files.push_back(selection.projector);
  selection.files.push_back(selection.model);
  return selection;
}

}  // namespace carat
