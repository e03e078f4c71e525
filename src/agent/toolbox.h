// Toolbox: what a model may call, wherever it comes from.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace carat {

struct ToolDescription {
  std::string name;
  std::string description;
  json::value parameters;  // JSON schema of the arguments, an object; null: none
};

struct ToolResult {
  std::string text;  // UTF-8
  bool is_error = false;
};

// Where tools come from: a file of commands, or an MCP server.
class ToolSource {
 public:
  virtual ~ToolSource() = default;
  virtual const std::vector<ToolDescription>& tools() const = 0;
  // Runs the tool of that index to its end. What goes wrong with the tool (it fails, takes too long, is gone) is a
  // result for the model to see; it does not throw.
  virtual ToolResult call(std::size_t tool, const json::object& arguments) = 0;
};

// Text of any bytes and length, made fit for a model: bytes that are no UTF-8 become U+FFFD, and what is over
// max_bytes is cut, with a remark that says so.
std::string readable_text(std::string_view bytes, std::size_t max_bytes);

class Toolbox {
 public:
  // Throws Error(kBadInput) where two tools have one name, or a name isn't made of letters, digits and _ - . / :
  void add(std::unique_ptr<ToolSource> source);

  bool is_empty() const { return entries_.empty(); }
  std::vector<ToolDescription> tools() const;
  // [{"type": "function", "function": {"name", "description", "parameters"}}]
  json::array to_json() const;
  // A name that isn't there gives a result, too.
  ToolResult call(std::string_view name, const json::object& arguments) const;

 private:
  struct Entry {
    ToolSource* source;
    std::size_t tool;
  };
  const ToolDescription& description(const Entry& entry) const { return entry.source->tools()[entry.tool]; }

  std::vector<std::unique_ptr<ToolSource>> sources_;
  std::vector<Entry> entries_;
};

}  // namespace carat
