#include "agent/toolbox.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= 256 && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("_-./:").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string readable_text(std::string_view bytes, std::size_t max_bytes) {
  const bool is_cut = bytes.size() > max_bytes;
  std::string_view kept = bytes.substr(0, max_bytes);
  // Not half a character at the cut.
  while (is_cut && !kept.empty() && (static_cast<unsigned char>(bytes[kept.size()]) & 0xc0) == 0x80)
    kept.remove_suffix(1);
  std::string text;
  if (is_valid_utf8(kept)) {
    text = kept;
  } else {
    for (std::size_t i = 0; i < kept.size();) {
      std::size_t size = 1;
      while (size <= 4 && i + size <= kept.size() && !is_valid_utf8(kept.substr(i, size))) ++size;
      const bool is_character = size <= 4 && i + size <= kept.size();
      text += is_character ? kept.substr(i, size) : "\xef\xbf\xbd";
      i += is_character ? size : 1;
    }
  }
  if (is_cut) text += str("\n[cut here: ", bytes.size() - kept.size(), " more bytes]");
  return text;
}

void Toolbox::add(std::unique_ptr<ToolSource> source) {
  const std::vector<ToolDescription>& tools = source->tools();
  for (std::size_t i = 0; i < tools.size(); ++i) {
    if (!is_tool_name(tools[i].name)) {
      throw Error(ErrorKind::kBadInput,
                  str("the tool name \"", printable(tools[i].name), "\" is not made of letters, digits and _ - . / :"));
    }
    const bool is_known =
        std::ranges::any_of(entries_, [&](const Entry& entry) { return description(entry).name == tools[i].name; });
    if (is_known) throw Error(ErrorKind::kBadInput, str("two tools are called \"", tools[i].name, "\"; rename one."));
    entries_.push_back({source.get(), i});
  }
  sources_.push_back(std::move(source));
}

std::vector<ToolDescription> Toolbox::tools() const {
  std::vector<ToolDescription> tools;
  for (const Entry& entry : entries_) tools.push_back(description(entry));
  return tools;
}

json::array Toolbox::to_json() const {
  json::array result;
  for (const Entry& entry : entries_) {
    const ToolDescription& tool = description(entry);
    json::object function{{"name", tool.name}, {"description", tool.description}};
    function["parameters"] = tool.parameters.is_null()
                                 ? json::value(json::object{{"type", "object"}, {"properties", json::object{}}})
                                 : tool.parameters;
    result.push_back({{"type", "function"}, {"function", function}});
  }
  return result;
}

ToolResult Toolbox::call(std::string_view name, const json::object& arguments) const {
  for (const Entry& entry : entries_) {
    if (description(entry).name == name) return entry.source->call(entry.tool, arguments);
  }
  return {.text = str("There is no tool called \"", printable(name), "\"."), .is_error = true};
}

}  // namespace carat
