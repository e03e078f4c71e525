// LocalServer: a `carat serve` that is running, asked over HTTP.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/command.h"

namespace carat {

// Which server is meant.
struct ServerFlags {
  std::string url = "http://127.0.0.1:11434";
};

// --url; its default is the environment's CARAT_SERVER, or else the server on this machine.
void add_server_flags(Command verb, ServerFlags& flags);

class LocalServer {
 public:
  explicit LocalServer(const ServerFlags& flags) : url_(flags.url) {}

  // The answer of a path ("/api/ps"), which is JSON; with a body by POST. The environment's CARAT_API_KEY is the key.
  // Throws NoServerError where none answers, or none of ours; Error: kNotFound and kBadInput as the server says.
  json::object get(const std::string& path) const;
  json::object post(const std::string& path, const json::object& body) const;

 private:
  json::object ask(const std::string& path, const json::object* body) const;

  std::string url_;
};

}  // namespace carat
