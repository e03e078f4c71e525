// jinja_render: renders templates for tests/jinja_differential.py.
// Reads JSON lines {"template", "data"}; answers each with {"text"} or {"error"}.
#include <ctime>
#include <iostream>
#include <string>

#include "base/json.h"
#include "chat/jinja_template.h"

int main() {
  using namespace carat;
  for (std::string line; std::getline(std::cin, line);) {
    json::object answer;
    try {
      const json::object request = parse_json(line, "standard input", ErrorKind::kBadInput).as_object();
      jinja::Runtime rt(jinja::Limits(), std::time(nullptr));
      jinja::Variables variables;
      for (const auto& [name, value] : request.at("data").as_object()) {
        variables.emplace(name, jinja::from_json(rt, value));
      }
      const jinja::Template parsed(request.at("template").as_string());
      answer["text"] = parsed.render(rt, variables).bytes();
    } catch (const Error& error) {
      answer["error"] = error.what();
    }
    std::cout << json::serialize(answer) << '\n' << std::flush;
  }
  return 0;
}
