#include "store/reference.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

constexpr std::size_t kMaxNameBytes = 512;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool is_part_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

void check_part(std::string_view part, std::string_view whole) {
  const bool is_dots = !part.empty() && part.find_first_not_of('.') == std::string_view::npos;
  if (part.empty() || part.size() > 200 || is_dots || part.front() == '-' ||
      !std::all_of(part.begin(), part.end(), is_part_character)) {
    throw Error(ErrorKind::kBadInput,
                str("\"", printable(whole, 200), "\" is no model's name: \"", printable(part),
                    "\" may hold letters, digits, \"-\", \"_\" and \".\", and may not be empty or begin with \"-\"."));
  }
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Takes a prefix off, whatever its letters' case.
bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (text.size() < prefix.size()) return false;
  if (!std::equal(prefix.begin(), prefix.end(), text.begin(), [](char a, char b) { return lower(a) == lower(b); })) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

Reference hugging_face(std::string_view rest, std::string_view whole) {
  Reference reference{.kind = SourceKind::kHuggingFace, .repository = {}};
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    reference.revision = std::string(rest.substr(at + 1));
    for (const std::string_view part : split(reference.revision, '/')) check_part(part, whole);
    rest = rest.substr(0, at);
  }
  const std::size_t colon = rest.find(':');
  if (colon != std::string_view::npos) {
    reference.selector = std::string(rest.substr(colon + 1));
    if (!is_safe_file_name(reference.selector)) check_part("", whole);
    rest = rest.substr(0, colon);
  }
  const auto parts = split(rest, '/');
  for (const std::string_view part : parts) check_part(part, whole);
  if (parts.size() != 2) {
    throw Error(ErrorKind::kBadInput, str("\"", printable(whole, 200),
                                          "\": expected hf.co/OWNER/REPO, with :FILE or :QUANT behind it if need be."));
  }
  reference.repository = std::string(rest);
  return reference;
}

Reference ollama(std::string_view rest, std::string_view whole) {
  Reference reference{.kind = SourceKind::kOllama, .repository = {}, .revision = "latest"};
  if (const std::size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    reference.revision = std::string(rest.substr(colon + 1));
    check_part(reference.revision, whole);
    rest = rest.substr(0, colon);
  }
  const auto parts = split(rest, '/');
  for (const std::string_view part : parts) check_part(part, whole);
  if (parts.size() > 2) {
    throw Error(ErrorKind::kBadInput,
                str("\"", printable(whole, 200), "\": expected ollama.com/[NAMESPACE/]NAME[:TAG]."));
  }
  reference.repository = parts.size() == 2 ? std::string(rest) : str("library/", rest);
  return reference;
}

Reference kaggle(std::string_view rest, std::string_view whole) {
  const auto parts = split(rest, '/');
  for (const std::string_view part : parts) check_part(part, whole);
  if (parts.size() != 4 && parts.size() != 5) {
    throw Error(ErrorKind::kBadInput,
                str("\"", printable(whole, 200), "\": expected kaggle.com/OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]."));
  }
  Reference reference{.kind = SourceKind::kKaggle, .repository = {}, .revision = ""};
  if (parts.size() == 5) {
    reference.revision = std::string(parts[4]);
    rest = rest.substr(0, rest.rfind('/'));
  }
  reference.repository = std::string(rest);
  return reference;
}

}  // namespace

std::string Reference::text() const {
  switch (kind) {
    case SourceKind::kHuggingFace:
      return str("hf.co/", repository, selector.empty() ? "" : ":", selector, revision == "main" ? "" : "@",
                 revision == "main" ? "" : revision);
    case SourceKind::kOllama:
      return str("ollama.com/", repository, ":", revision);
    case SourceKind::kKaggle:
      return str("kaggle.com/", repository, revision.empty() ? "" : "/", revision);
  }
  return {};
}

std::optional<Reference> parse_reference(std::string_view text) {
  std::string_view rest = text;
  take_prefix(rest, "https://");
  using Parse = Reference (*)(std::string_view, std::string_view);
  struct Form {
    std::string_view prefix;
    Parse parse;
  };
  constexpr std::array kForms{Form{"hf.co/", hugging_face},
                              Form{"huggingface.co/", hugging_face},
                              Form{"hf:", hugging_face},
                              Form{"ollama.com/", ollama},
                              Form{"registry.ollama.ai/", ollama},
                              Form{"ollama:", ollama},
                              Form{"www.kaggle.com/models/", kaggle},
                              Form{"kaggle.com/models/", kaggle},
                              Form{"kaggle.com/", kaggle},
                              Form{"kaggle:", kaggle}};
  for (const Form& form : kForms) {
    if (!take_prefix(rest, form.prefix)) continue;
    if (text.size() > kMaxNameBytes) check_part(std::string(kMaxNameBytes, '?'), text);
    return form.parse(rest, text);
  }
  return std::nullopt;
}

bool is_safe_file_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || !is_valid_utf8(name)) return false;
  const auto is_bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\' || c == ':'; };
  if (std::any_of(name.begin(), name.end(), is_bad)) return false;
  const auto parts = split(name, '/');
  return std::all_of(parts.begin(), parts.end(),
                     [](std::string_view part) { return !part.empty() && part != "." && part != ".."; });
}

}  // namespace carat
