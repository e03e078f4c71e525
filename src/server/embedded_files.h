// Files that are part of the program: the interface's document and the web page.
#pragma once

#include <span>
#include <string_view>

namespace carat {

struct EmbeddedFile {
  std::string_view name;  // "api/openai.json", "web/index.html"
  std::string_view text;
};

std::span<const EmbeddedFile> embedded_files();

}  // namespace carat
