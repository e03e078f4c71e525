#include "cli/local_server.h"

#include <cstdlib>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "cli/exit_code.h"
#include "store/http_client.h"

namespace carat {
namespace {

constexpr std::size_t kMaxAnswerBytes = std::size_t{16} << 20;

// What the server's own words are: {"error": "..."} or {"error": {"message": "..."}}.
std::string words_of(const json::object& answer) {
  const json::value* error = find_member(answer, "error");
  if (error == nullptr) return {};
  if (const json::string* text = error->if_string()) return std::string(*text);
  const json::object* object = error->if_object();
  const json::value* message = object != nullptr ? find_member(*object, "message") : nullptr;
  const json::string* text = message != nullptr ? message->if_string() : nullptr;
  return text != nullptr ? std::string(*text) : std::string();
}

json::object object_of(const std::string& text, const std::string& where) {
  try {
    json::value answer = parse_json(text, where, ErrorKind::kNetwork);
    if (answer.is_object()) return std::move(answer.as_object());
  } catch (const Error&) {  // told below: what is wrong with it is of no interest
  }
  throw NoServerError(str(where, ": what answers there is not carat. Say where the server is with --url."));
}

}  // namespace

void add_server_flags(Command verb, ServerFlags& flags) {
  verb.option("--url", flags.url, "The server").environment("CARAT_SERVER").with_default().value("URL");
}

json::object LocalServer::get(const std::string& path) const {
  return ask(path, nullptr);
}

json::object LocalServer::post(const std::string& path, const json::object& body) const {
  return ask(path, &body);
}

json::object LocalServer::ask(const std::string& path, const json::object* body) const {
  HttpRequest request{.url = url_ + path};
  if (body != nullptr) request.json_body = json::serialize(*body);
  if (const char* key = std::getenv("CARAT_API_KEY"))
    request.token = key;  // NOLINT(concurrency-mt-unsafe): nothing sets it
  std::string text;
  HttpResponse response;
  try {
    response = HttpClient().perform(request, [&](const HttpResponse&, std::span<const std::byte> data) {
      if (data.size() > kMaxAnswerBytes - text.size()) return false;
      text.append(reinterpret_cast<const char*>(data.data()), data.size());
      return true;
    });
  } catch (const NetworkError& error) {
    throw NoServerError(str("no server answers at ", printable(url_, 200),
                            ". Start one with `carat serve`, or say where it is with --url. (", error.what(), ")"));
  }
  const std::string where = printable(url_ + path, 200);
  json::object answer = object_of(text, where);
  if (response.status == 200) return answer;
  const std::string words = words_of(answer);
  const ErrorKind kind = response.status == 404 ? ErrorKind::kNotFound : ErrorKind::kBadInput;
  const std::string_view advice =
      response.status == 401 ? " Put one of its keys into the environment's CARAT_API_KEY." : "";
  throw Error(kind, str("the server answered ", response.status, ": ", printable(words, 500), advice));
}

}  // namespace carat
