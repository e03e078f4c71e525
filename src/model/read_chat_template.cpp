#include "model/read_chat_template.h"

#include <system_error>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/gguf.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxTemplateBytes = std::uint64_t{4} << 20;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string read_folder_template(const fs::path& folder) {
  if (is_file(folder / "chat_template.jinja")) return read_text_file(folder / "chat_template.jinja", kMaxTemplateBytes);
  const fs::path config = folder / "tokenizer_config.json";
  if (!is_file(config)) return {};
  const json::value document = parse_json_file(config);
  if (!document.is_object()) return {};
  return std::string(find_string(document.get_object(), "chat_template", config.string()).value_or(""));
}

}  // namespace

std::string read_chat_template(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return read_folder_template(path);
  if (!is_gguf_file(path)) return read_folder_template(path.parent_path());
  return std::string(Gguf(path).string("tokenizer.chat_template").value_or(""));
}

}  // namespace carat
