// Reference: what a model's name says about where it comes from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace carat {

enum class SourceKind {
  kHuggingFace,  // hf.co/OWNER/REPO[:FILE|:QUANT][@REVISION]
  kOllama,       // ollama.com/[NAMESPACE/]NAME[:TAG]
  kKaggle,       // kaggle.com/OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]
};

struct Reference {
  SourceKind kind = SourceKind::kHuggingFace;
  std::string repository;         // "google/gemma-4-E2B-it"; of Ollama "library/gemma3"; of Kaggle the whole handle
  std::string revision = "main";  // of Ollama the tag
  std::string selector{};         // of Hugging Face: a file's name or a quantisation; empty: all, or the default

  // The name again, in its full form.
  std::string text() const;
};

// nullopt where the text is none of these forms. Throws Error(kBadInput) where it is, but has a part that no host would
// have: empty, "..", control characters, anything but letters, digits, "-", "_" and ".".
std::optional<Reference> parse_reference(std::string_view text);

// "mmproj/model.gguf" and the like, from a server: no part empty, "." or "..", no backslash, no control character,
// valid UTF-8, not absolute.
bool is_safe_file_name(std::string_view name);

}  // namespace carat
