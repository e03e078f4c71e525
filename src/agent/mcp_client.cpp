#include "agent/mcp_client.h"

#include "base/error.h"

namespace carat {
namespace {

constexpr const char* kProtocolVersion = "2025-06-18";
constexpr std::size_t kMaxTools = 1000;

std::string text_member(const json::object& object, std::string_view key) {
  const json::value* value = find_member(object, key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// The text of a result's parts; of what isn't text, its kind.
std::string text_of_content(const json::object& result) {
  std::string text;
  const json::value* content = find_member(result, "content");
  if (content != nullptr && content->is_array()) {
    for (const json::value& part : content->get_array()) {
      if (!part.is_object()) continue;
      const std::string type = text_member(part.get_object(), "type");
      std::string piece = text_member(part.get_object(), "text");
      if (type == "resource") {
        const json::value* resource = find_member(part.get_object(), "resource");
        if (resource != nullptr && resource->is_object()) piece = text_member(resource->get_object(), "text");
      }
      if (piece.empty() && type != "text") piece = str("[", printable(type), "]");
      if (!text.empty()) text += "\n";
      text += piece;
    }
  }
  const json::value* structured = find_member(result, "structuredContent");
  if (text.empty() && structured != nullptr) text = json::serialize(*structured);
  return text;
}

}  // namespace

McpClient::McpClient(const std::vector<std::string>& command, std::chrono::seconds timeout)
    : name_(command.empty() ? "" : command[0]), timeout_(timeout), process_(std::make_unique<ChildProcess>(command)) {
  const json::value hello = request("initialize", {{"protocolVersion", kProtocolVersion},
                                                   {"capabilities", json::object{}},
                                                   {"clientInfo", {{"name", "carat"}, {"version", "1"}}}});
  if (!hello.is_object() || text_member(hello.get_object(), "protocolVersion").empty()) {
    fail("answered \"initialize\" without a protocol version");
  }
  send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  list_tools();
}

void McpClient::list_tools() {
  std::string cursor;
  do {
    json::object parameters;
    if (!cursor.empty()) parameters["cursor"] = cursor;
    const json::value page = request("tools/list", std::move(parameters));
    const json::value* list = page.is_object() ? find_member(page.get_object(), "tools") : nullptr;
    if (list == nullptr || !list->is_array()) fail("answered \"tools/list\" without a list of tools");
    for (const json::value& entry : list->get_array()) {
      if (!entry.is_object() || text_member(entry.get_object(), "name").empty()) fail("lists a tool without a name");
      if (tools_.size() == kMaxTools) fail(str("lists more than ", kMaxTools, " tools"));
      const json::value* schema = find_member(entry.get_object(), "inputSchema");
      tools_.push_back({text_member(entry.get_object(), "name"), text_member(entry.get_object(), "description"),
                        schema != nullptr ? *schema : json::value(nullptr)});
    }
    std::string next = text_member(page.get_object(), "nextCursor");
    if (next == cursor) break;
    cursor = std::move(next);
  } while (!cursor.empty());
}

ToolResult McpClient::call(std::size_t tool, const json::object& arguments) {
  try {
    const json::value result = request("tools/call", {{"name", tools_[tool].name}, {"arguments", arguments}});
    if (!result.is_object()) fail("answered \"tools/call\" without a result");
    const json::value* is_error = find_member(result.get_object(), "isError");
    return {.text = readable_text(text_of_content(result.get_object()), kMaxResultBytes),
            .is_error = is_error != nullptr && *is_error == json::value(true)};
  } catch (const Error& error) {
    return {.text = str("The tool could not be called: ", error.what()), .is_error = true};
  }
}

json::value McpClient::request(const char* method, json::object parameters) {
  if (is_gone_) fail("has ended");
  const std::int64_t id = ++last_id_;
  send({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(parameters)}});
  return receive(id, std::chrono::steady_clock::now() + timeout_, method);
}

void McpClient::send(const json::object& message) {
  process_->send(json::serialize(message) + "\n", kMaxMessageBytes, std::chrono::steady_clock::now() + timeout_);
}

// What comes before the answer: notifications, which say nothing here; requests; answers to what was given up on.
json::value McpClient::receive(std::int64_t id, ChildProcess::Deadline deadline, const char* method) {
  while (true) {
    const std::string line = take_line(deadline, method);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    json::value message;
    try {
      message = parse_json(line, "message", ErrorKind::kBadInput, {.max_depth = 64, .max_bytes = kMaxMessageBytes});
    } catch (const Error&) {
      fail(str("wrote something to its standard output that is no message: ", printable(line)));
    }
    if (!message.is_object()) fail("sent a message that is no object");
    const json::object& object = message.get_object();
    const json::value* its_id = find_member(object, "id");
    if (object.contains("method")) {
      if (its_id != nullptr) answer(object);
      continue;
    }
    if (its_id == nullptr || *its_id != json::value(id)) continue;
    if (const json::value* error = find_member(object, "error")) {
      const std::string what = error->is_object() ? text_member(error->get_object(), "message") : "";
      fail(str("answered \"", method, "\" with an error: ", printable(what, 1000)));
    }
    const json::value* result = object.if_contains("result");
    return result != nullptr ? *result : json::value(nullptr);
  }
}

std::string McpClient::take_line(ChildProcess::Deadline deadline, const char* method) {
  std::string& output = process_->output();
  std::size_t looked_at = 0;
  std::size_t end = std::string::npos;
  const auto has_line = [&] {
    end = output.find('\n', looked_at);
    looked_at = output.size();
    return end != std::string::npos || output.size() >= kMaxMessageBytes;
  };
  const ChildProcess::Outcome outcome = process_->exchange({}, false, kMaxMessageBytes, deadline, has_line);
  if (outcome == ChildProcess::Outcome::kTimeout) {
    send({{"jsonrpc", "2.0"},
          {"method", "notifications/cancelled"},
          {"params", {{"requestId", last_id_}, {"reason", "timeout"}}}});
    fail(str("did not answer \"", method, "\" within ", timeout_.count(), " s"));
  }
  if (outcome == ChildProcess::Outcome::kClosed) {
    is_gone_ = true;
    fail(str("ended instead of answering \"", method, "\""));
  }
  if (end == std::string::npos) {
    is_gone_ = true;  // the rest of the line is lost
    fail(str("sent a message of more than ", kMaxMessageBytes, " bytes"));
  }
  std::string line = output.substr(0, end);
  output.erase(0, end + 1);
  return line;
}

void McpClient::answer(const json::object& request) {
  json::object reply{{"jsonrpc", "2.0"}, {"id", request.at("id")}};
  if (text_member(request, "method") == "ping") {
    reply["result"] = json::object{};
  } else {
    reply["error"] = json::object{{"code", -32601}, {"message", "no such method"}};
  }
  send(reply);
}

void McpClient::fail(const std::string& what) const {
  const std::string& errors = process_->errors();
  throw Error(ErrorKind::kBadInput, str("the MCP server \"", printable(name_), "\" ", what, ".",
                                        errors.empty() ? "" : str(" It wrote: ", printable(errors, 1000))));
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool is_in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      is_in_word = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      is_in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (is_in_word) words.push_back(std::move(word));
      word.clear();
      is_in_word = false;
    } else {
      word += c;
      is_in_word = true;
    }
  }
  if (quote != '\0') throw Error(ErrorKind::kBadInput, str("a quote is not closed in: ", printable(text)));
  if (is_in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace carat
