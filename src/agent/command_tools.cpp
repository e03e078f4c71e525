#include "agent/command_tools.h"

#include "agent/child_process.h"
#include "base/error.h"

namespace carat {
namespace {

constexpr std::int64_t kMaxTimeoutSeconds = 3600;

class EntryReader {
 public:
  EntryReader(const json::value& entry, std::string where) : where_(std::move(where)) {
    if (!entry.is_object()) fail("is not an object");
    entry_ = &entry.get_object();
    for (const auto& [key, value] : *entry_) {
      const std::string_view name = key;
      if (name != "name" && name != "description" && name != "parameters" && name != "command" &&
          name != "timeout_seconds") {
        fail(str("has the field \"", printable(name),
                 "\"; there are name, description, parameters, command and timeout_seconds"));
      }
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::kBadInput, str(where_, " ", what, "."));
  }

  std::string text(const char* key, bool is_required) const {
    const json::value* value = find_member(*entry_, key);
    if (value == nullptr && !is_required) return "";
    if (value == nullptr || !value->is_string()) fail(str("has no text \"", key, "\""));
    return std::string(value->get_string());
  }

  json::value parameters() const {
    const json::value* value = find_member(*entry_, "parameters");
    if (value == nullptr) return nullptr;
    if (!value->is_object()) fail("has \"parameters\" that are no JSON schema (an object)");
    return *value;
  }

  std::vector<std::string> command() const {
    const json::value* value = find_member(*entry_, "command");
    if (value == nullptr || !value->is_array() || value->get_array().empty()) {
      fail(R"(has no "command", a list of the program and its arguments: ["python3", "tool.py"]. No shell reads it)");
    }
    std::vector<std::string> words;
    for (const json::value& word : value->get_array()) {
      if (!word.is_string() || word.get_string().find('\0') != json::string::npos) {
        fail("has a \"command\" with something in it that is no text");
      }
      words.emplace_back(word.get_string());
    }
    return words;
  }

  std::chrono::seconds timeout(std::chrono::seconds usual) const {
    const json::value* value = find_member(*entry_, "timeout_seconds");
    if (value == nullptr) return usual;
    if (!value->is_int64() || value->get_int64() < 1 || value->get_int64() > kMaxTimeoutSeconds) {
      fail(str("has a \"timeout_seconds\" that is no whole number from 1 to ", kMaxTimeoutSeconds));
    }
    return std::chrono::seconds(value->get_int64());
  }

 private:
  std::string where_;
  const json::object* entry_ = nullptr;
};

}  // namespace

CommandTools::CommandTools(const json::value& document, std::string_view where, std::chrono::seconds timeout) {
  const json::value* list = document.is_object() ? document.get_object().if_contains("tools") : &document;
  if (list == nullptr || !list->is_array()) {
    throw Error(ErrorKind::kBadInput, str(where, ": expected a list of tools, or {\"tools\": [...]}."));
  }
  for (std::size_t i = 0; i < list->get_array().size(); ++i) {
    const EntryReader entry(list->get_array()[i], str(where, ": tool ", i + 1));
    tools_.push_back({entry.text("name", true), entry.text("description", false), entry.parameters()});
    commands_.push_back({entry.command(), entry.timeout(timeout)});
  }
}

ToolResult CommandTools::call(std::size_t tool, const json::object& arguments) {
  const Command& command = commands_[tool];
  try {
    ChildProcess process(command.words);
    const auto deadline = std::chrono::steady_clock::now() + command.timeout;
    const std::string input = json::serialize(arguments) + "\n";
    process.exchange(input, true, kMaxOutputBytes, deadline, [] { return false; });
    const std::optional<int> exit_code = process.wait(deadline);
    if (!exit_code) {
      return {.text = str("The tool was stopped: it took longer than ", command.timeout.count(), " s."),
              .is_error = true};
    }
    std::string text = readable_text(process.output(), kMaxOutputBytes);
    if (process.output_bytes() > process.output().size()) {
      text += str("\n[cut here: ", process.output_bytes() - process.output().size(), " more bytes]");
    }
    if (*exit_code == 0) return {.text = std::move(text), .is_error = false};
    return {
        .text = str("The tool failed with exit code ", *exit_code, ".\n", readable_text(process.errors(), 4096), text),
        .is_error = true};
  } catch (const Error& error) {
    return {.text = str("The tool could not be run: ", error.what()), .is_error = true};
  }
}

}  // namespace carat
